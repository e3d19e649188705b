"""What builds the site: the parts of docs/conf.py."""
