"""What notebooks show: tables and pictures of what they are given as plain data. It knows nothing of graphs.

Its modules are imported when something is first shown.
"""
