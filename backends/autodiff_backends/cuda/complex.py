"""Device functions of complex numbers, as C++, in parts as in the prelude.

Formulas are NumPy's where it has its own, else those of W. Kahan, "Branch cuts for complex elementary functions"
(1987), which are right on both sides of a cut and lose no digits beside it.
"""

STRUCT = r"""
//// cplx
template <class T> struct alignas(2 * sizeof(T)) cplx {
    T re, im;
    cplx() = default;
    __device__ __forceinline__ explicit cplx(T x, T y = 0) : re(x), im(y) {}
    template <class U> __device__ __forceinline__ explicit cplx(cplx<U> z) : re((T)z.re), im((T)z.im) {}
};
template <class T> FN cplx<T> operator+(cplx<T> a, cplx<T> b) { return cplx<T>(a.re + b.re, a.im + b.im); }
template <class T> FN cplx<T> operator-(cplx<T> a, cplx<T> b) { return cplx<T>(a.re - b.re, a.im - b.im); }
template <class T> FN cplx<T> operator-(cplx<T> a) { return cplx<T>(-a.re, -a.im); }
template <class T> FN cplx<T> operator*(cplx<T> a, cplx<T> b) {
    return cplx<T>(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}
template <class T> FN cplx<T> operator/(cplx<T> a, cplx<T> b) {
    // Smith: no intermediate result is larger than it need be.
    T size_re = m_fabs(b.re), size_im = m_fabs(b.im);
    if (size_re >= size_im) {
        if (size_re == 0 && size_im == 0) return cplx<T>(a.re / size_re, a.im / size_re);
        T ratio = b.im / b.re, scale = 1 / (b.re + b.im * ratio);
        return cplx<T>((a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale);
    }
    T ratio = b.re / b.im, scale = 1 / (b.im + b.re * ratio);
    return cplx<T>((a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale);
}
template <class T> FN bool operator==(cplx<T> a, cplx<T> b) { return a.re == b.re && a.im == b.im; }
template <class T> FN bool operator!=(cplx<T> a, cplx<T> b) { return !(a == b); }
template <class T> FN bool operator<(cplx<T> a, cplx<T> b) {
    return (a.re < b.re && a.im == a.im && b.im == b.im) || (a.re == b.re && a.im < b.im);
}
template <class T> FN bool operator<=(cplx<T> a, cplx<T> b) {
    return (a.re < b.re && a.im == a.im && b.im == b.im) || (a.re == b.re && a.im <= b.im);
}
template <class T> FN bool operator>(cplx<T> a, cplx<T> b) { return b < a; }
template <class T> FN bool operator>=(cplx<T> a, cplx<T> b) { return b <= a; }
"""

TEXT = r"""
//// np_truth
template <class T> FN bool np_truth(cplx<T> z) { return z.re != 0 || z.im != 0; }
//// np_isfinite
template <class T> FN bool np_isfinite(cplx<T> z) { return np_isfinite(z.re) && np_isfinite(z.im); }
//// np_isinf
template <class T> FN bool np_isinf(cplx<T> z) { return np_isinf(z.re) || np_isinf(z.im); }
//// c_conjugate
template <class T> FN cplx<T> c_conjugate(cplx<T> z) { return cplx<T>(z.re, -z.im); }
//// c_abs
template <class T> FN T c_abs(cplx<T> z) { return m_hypot(z.re, z.im); }
//// c_rint
template <class T> FN cplx<T> c_rint(cplx<T> z) { return cplx<T>(m_rint(z.re), m_rint(z.im)); }
//// c_sign
template <class T> FN cplx<T> c_sign(cplx<T> z) {
    T size = c_abs(z);
    bool wide = np_isinf(z.re), high = np_isinf(z.im);
    if (size != size || (wide && high)) return cplx<T>(T(NAN_F32), T(NAN_F32));
    if (wide) return cplx<T>(m_copysign(T(1), z.re), 0);
    if (high) return cplx<T>(0, m_copysign(T(1), z.im));
    return size == 0 ? cplx<T>(0, 0) : cplx<T>(z.re / size, z.im / size);
}
//// c_reciprocal
template <class T> FN cplx<T> c_reciprocal(cplx<T> z) {
    if (m_fabs(z.re) <= m_fabs(z.im)) {
        T ratio = z.re / z.im, d = z.im + z.re * ratio;
        return cplx<T>(ratio / d, -1 / d);
    }
    T ratio = z.im / z.re, d = z.re + z.im * ratio;
    return cplx<T>(1 / d, -ratio / d);
}
//// c_sqrt
template <class T> FN cplx<T> c_sqrt(cplx<T> z) {
    if (z.re == 0 && z.im == 0) return cplx<T>(0, z.im);
    if (np_isinf(z.im)) return cplx<T>(m_fabs(z.im), z.im);
    if (z.re != z.re) return cplx<T>(z.re, z.re);
    if (np_isinf(z.re)) {
        T rest = z.im - z.im;
        return z.re < 0 ? cplx<T>(m_fabs(rest), m_copysign(z.re, z.im)) : cplx<T>(z.re, m_copysign(rest, z.im));
    }
    // Out of the way of overflow, and of underflow; by a power of 4, whose root is exact.
    T size = np_maximum(m_fabs(z.re), m_fabs(z.im)), scale = 1;
    if (size > T(1e30)) z = cplx<T>(z.re / 16, z.im / 16), scale = 4;
    if (size < T(1e-30)) z = cplx<T>(z.re * T(1099511627776.0), z.im * T(1099511627776.0)), scale = T(1) / 1048576;
    T root = m_sqrt((m_fabs(z.re) + m_hypot(z.re, z.im)) / 2), other = m_fabs(z.im) / (2 * root);
    return z.re >= 0 ? cplx<T>(scale * root, m_copysign(scale * other, z.im))
                     : cplx<T>(scale * other, m_copysign(scale * root, z.im));
}
//// c_exp
template <class T> FN cplx<T> c_exp(cplx<T> z) {
    if (z.im == 0) return cplx<T>(m_exp(z.re), z.im);
    if (!np_isfinite(z.im)) {
        T rest = z.im - z.im;
        if (!np_isinf(z.re)) return cplx<T>(rest, rest);
        return z.re < 0 ? cplx<T>(0, 0) : cplx<T>(z.re, rest);
    }
    // In two steps: e^x may overflow where e^x cos y does not.
    T half_way = m_exp(z.re / 2);
    return cplx<T>(half_way * m_cos(z.im) * half_way, half_way * m_sin(z.im) * half_way);
}
//// c_log
template <class T> FN cplx<T> c_log(cplx<T> z) {
    T a = np_maximum(m_fabs(z.re), m_fabs(z.im)), b = np_minimum(m_fabs(z.re), m_fabs(z.im));
    bool near = a > T(0.5) && a < 2;
    T size = near ? m_log1p((a - 1) * (a + 1) + b * b) / 2 : m_log(m_hypot(z.re, z.im));
    return cplx<T>(size, m_atan2(z.im, z.re));
}
//// c_exp2
template <class T> FN cplx<T> c_exp2(cplx<T> z) {
    return c_exp(cplx<T>(z.re * (T)0.693147180559945309417, z.im * (T)0.693147180559945309417));
}
//// c_expm1
template <class T> FN cplx<T> c_expm1(cplx<T> z) {
    T s = m_sin(z.im / 2);
    return cplx<T>(m_expm1(z.re) * m_cos(z.im) - 2 * s * s, m_exp(z.re) * m_sin(z.im));
}
//// c_log1p
template <class T> FN cplx<T> c_log1p(cplx<T> z) { return c_log(cplx<T>(z.re + 1, z.im)); }
//// c_log2
template <class T> FN cplx<T> c_log2(cplx<T> z) {
    z = c_log(z);
    return cplx<T>(z.re * (T)1.442695040888963407360, z.im * (T)1.442695040888963407360);
}
//// c_log10
template <class T> FN cplx<T> c_log10(cplx<T> z) {
    z = c_log(z);
    return cplx<T>(z.re * (T)0.434294481903251827651, z.im * (T)0.434294481903251827651);
}
//// c_pow
template <class T> FN cplx<T> c_pow(cplx<T> a, cplx<T> b) {
    if (b.re == 0 && b.im == 0) return cplx<T>(1);
    if (a.re == 0 && a.im == 0) {
        return b.re > 0 ? cplx<T>(0) : cplx<T>(T(NAN_F32), T(NAN_F32));
    }
    if (b.im == 0 && b.re == m_rint(b.re) && m_fabs(b.re) < 100) {
        int n = (int)m_fabs(b.re);
        cplx<T> result(1), power = a;
        if (n <= 3 && b.re > 0) return n == 1 ? a : n == 2 ? a * a : a * a * a;
        for (; n > 0; n >>= 1) {
            if (n & 1) result = result * power;
            if (n > 1) power = power * power;
        }
        return b.re < 0 ? cplx<T>(1) / result : result;
    }
    return c_exp(b * c_log(a));
}
//// c_sinh
template <class T> FN cplx<T> c_sinh(cplx<T> z) {
    if (z.im == 0) return cplx<T>(m_sinh(z.re), z.im);
    if (z.re == 0) return cplx<T>(z.re, m_sin(z.im));
    if (m_fabs(z.re) < 80) return cplx<T>(m_sinh(z.re) * m_cos(z.im), m_cosh(z.re) * m_sin(z.im));
    T half_way = m_exp(m_fabs(z.re) / 2), other = half_way / 2;
    return cplx<T>(m_copysign(other, z.re) * m_cos(z.im) * half_way, other * m_sin(z.im) * half_way);
}
//// c_cosh
template <class T> FN cplx<T> c_cosh(cplx<T> z) {
    if (z.im == 0) return cplx<T>(m_cosh(z.re), z.im * m_copysign(T(1), z.re));
    if (z.re == 0) return cplx<T>(m_cos(z.im), z.re * m_sin(z.im));
    if (m_fabs(z.re) < 80) return cplx<T>(m_cosh(z.re) * m_cos(z.im), m_sinh(z.re) * m_sin(z.im));
    T half_way = m_exp(m_fabs(z.re) / 2), other = half_way / 2;
    return cplx<T>(other * m_cos(z.im) * half_way, m_copysign(other, z.re) * m_sin(z.im) * half_way);
}
//// c_tanh
template <class T> FN cplx<T> c_tanh(cplx<T> z) {
    if (m_fabs(z.re) > 22) {
        T small = m_exp(-m_fabs(z.re));
        T rest = np_isfinite(z.im) ? 4 * m_sin(z.im) * m_cos(z.im) * small * small : m_copysign(T(0), z.im);
        return cplx<T>(m_copysign(T(1), z.re), rest);
    }
    T t = m_tan(z.im), s = m_sinh(z.re), beta = 1 + t * t, rho = m_sqrt(1 + s * s), d = 1 + beta * s * s;
    return cplx<T>(beta * rho * s / d, t / d);
}
//// c_sin
template <class T> FN cplx<T> c_sin(cplx<T> z) {
    z = c_sinh(cplx<T>(-z.im, z.re));
    return cplx<T>(z.im, -z.re);
}
//// c_cos
template <class T> FN cplx<T> c_cos(cplx<T> z) { return c_cosh(cplx<T>(-z.im, z.re)); }
//// c_tan
template <class T> FN cplx<T> c_tan(cplx<T> z) {
    z = c_tanh(cplx<T>(-z.im, z.re));
    return cplx<T>(z.im, -z.re);
}
//// c_asin
template <class T> FN cplx<T> c_asin(cplx<T> z) {
    cplx<T> less = c_sqrt(cplx<T>(1 - z.re, -z.im)), more = c_sqrt(cplx<T>(1 + z.re, z.im));
    return cplx<T>(m_atan2(z.re, (less * more).re), m_asinh((c_conjugate(less) * more).im));
}
//// c_acos
template <class T> FN cplx<T> c_acos(cplx<T> z) {
    cplx<T> less = c_sqrt(cplx<T>(1 - z.re, -z.im)), more = c_sqrt(cplx<T>(1 + z.re, z.im));
    return cplx<T>(2 * m_atan2(less.re, more.re), m_asinh((c_conjugate(more) * less).im));
}
//// c_atanh
template <class T> FN cplx<T> c_atanh(cplx<T> z) {
    T x = m_fabs(z.re), y = z.im, right = (T)1.570796326794896619231;
    if (np_isinf(z)) return cplx<T>(m_copysign(T(0), z.re), m_copysign(right, y));
    // Beside 1 the square of the distance may be too small for a number.
    T apart = m_hypot(1 - x, y);
    T size = apart < T(1e-18) ? m_log(2 / apart) / 2 : m_log1p(4 * x / ((1 - x) * (1 - x) + y * y)) / 4;
    return cplx<T>(m_copysign(size, z.re), m_atan2(2 * y, (1 - x) * (1 + x) - y * y) / 2);
}
//// c_asinh
template <class T> FN cplx<T> c_asinh(cplx<T> z) {
    z = c_asin(cplx<T>(-z.im, z.re));
    return cplx<T>(z.im, -z.re);
}
//// c_acosh
template <class T> FN cplx<T> c_acosh(cplx<T> z) {
    cplx<T> less = c_sqrt(cplx<T>(z.re - 1, z.im)), more = c_sqrt(cplx<T>(z.re + 1, z.im));
    return cplx<T>(m_asinh((c_conjugate(less) * more).re), 2 * m_atan2(less.im, more.re));
}
//// c_atan
template <class T> FN cplx<T> c_atan(cplx<T> z) {
    z = c_atanh(cplx<T>(-z.im, z.re));
    return cplx<T>(z.im, -z.re);
}
"""
