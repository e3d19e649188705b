"""Device functions of kernels, as C++: NumPy's arithmetic of integers and floats, half precision, functions.

Each part is headed by the name that it defines, and a source gets the parts that it uses. Templates are for integers
unless an overload says otherwise.
"""

from __future__ import annotations

import re

from .complex import STRUCT
from .complex import TEXT as COMPLEX
from .functions import NAMES, part

# CUDA's functions of float64 and, with an f, of float32: name -> number of arguments.
MATH = {
    **dict.fromkeys(("erf", "erfc"), 1),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "fabs"), 1),
    **dict.fromkeys(
        ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"), 1
    ),
    **dict.fromkeys(("floor", "ceil", "trunc", "rint"), 1),
    **dict.fromkeys(("pow", "atan2", "hypot", "fmod", "copysign", "nextafter"), 2),
}

BEGIN = """#define FN __device__ __forceinline__
#define INF_F32 __int_as_float(0x7f800000)
#define NAN_F32 __int_as_float(0x7fc00000)
#define INF_F64 __longlong_as_double(0x7ff0000000000000ll)
#define NAN_F64 __longlong_as_double(0x7ff8000000000000ll)
"""

_MATH_PART = """//// m_{name}
FN float m_{name}({floats}) {{ return {name}f({names}); }}
FN double m_{name}({doubles}) {{ return {name}({names}); }}
"""

TEXT = r"""
//// vec
template <class T, int N> struct alignas(N * sizeof(T)) vec { T v[N]; };
//// half
#ifdef __CUDA_ARCH__
FN float half_to_float(unsigned short h) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    return x;
}
FN unsigned short half_bits(float x) {
    unsigned short h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}
FN unsigned short half_bits(double x) {
    unsigned short h;
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(h) : "d"(x));
    return h;
}
#else
FN float half_to_float(unsigned short h) {
    unsigned int sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 0x3ffu;
    if (exponent == 0) return __int_as_float(sign | __float_as_int(fraction * 5.9604644775390625e-8f));
    if (exponent == 31) return __int_as_float(sign | 0x7f800000u | fraction << 13);
    return __int_as_float(sign | (exponent + 112) << 23 | fraction << 13);
}
FN unsigned short half_bits(double x) {
    unsigned long long b = __double_as_longlong(x), sign = b >> 48 & 0x8000u;
    b &= 0x7fffffffffffffffull;
    if (b > 0x7ff0000000000000ull) return sign | 0x7e00u;
    if (b >= 0x40effe0000000000ull) return sign | 0x7c00u;
    if (b < 0x3f10000000000000ull) {
        // Multiples of 2^-24; adding 2^52 rounds to an integer.
        double whole = __longlong_as_double(b) * 16777216.0 + 4503599627370496.0;
        return sign | (unsigned long long)(whole - 4503599627370496.0);
    }
    b += 0x1ffffffffffull + (b >> 42 & 1);
    return sign | ((b >> 42) - (1008ull << 10));
}
FN unsigned short half_bits(float x) { return half_bits((double)x); }
#endif
struct half {
    unsigned short bits;
    half() = default;
    __device__ __forceinline__ explicit half(float x) : bits(half_bits(x)) {}
    __device__ __forceinline__ explicit half(double x) : bits(half_bits(x)) {}
    __device__ __forceinline__ operator float() const { return half_to_float(bits); }
};
//// half_of
FN half half_of(unsigned int bits) {
    half h;
    h.bits = (unsigned short)bits;
    return h;
}
//// half_nextafter
FN half half_nextafter(half from, half to) {
    unsigned int x = from.bits, y = to.bits;
    if ((float)from != (float)from || (float)to != (float)to) return half_of(0x7e00u);
    if ((float)from == (float)to) return from;
    if ((x & 0x7fffu) == 0) return half_of((y & 0x8000u) + 1);
    if (!(x & 0x8000u)) return half_of((short)x > (short)y ? x - 1 : x + 1);
    return half_of(!(y & 0x8000u) || (x & 0x7fffu) > (y & 0x7fffu) ? x - 1 : x + 1);
}
//// half_spacing
FN half half_spacing(half of) {
    unsigned int h = of.bits, exponent = h & 0x7c00u;
    if (exponent == 0x7c00u) return half_of(0x7e00u);
    if (h == 0x7bffu) return half_of(0x7c00u);
    // Below a negative power of two numbers are twice as close as above it.
    unsigned int closer = (h & 0x8000u) && !(h & 0x3ffu) ? 1 : 0, least = 0x2800u + 0x400u * closer;
    if (exponent > least) return half_of(exponent - least);
    return half_of(exponent > 0x400u ? 1u << ((exponent >> 10) - 1 - closer) : 1u);
}
//// np_truth
template <class T> FN bool np_truth(T x) { return x != 0; }
//// unsigned_of
template <int BYTES> struct wide_unsigned { typedef unsigned int type; };
template <> struct wide_unsigned<8> { typedef unsigned long long type; };
template <class T> struct unsigned_of { typedef typename wide_unsigned<sizeof(T)>::type type; };
//// np_add
template <class T> FN T np_add(T a, T b) {
    typedef typename unsigned_of<T>::type U;
    return (T)((U)a + (U)b);
}
//// np_subtract
template <class T> FN T np_subtract(T a, T b) {
    typedef typename unsigned_of<T>::type U;
    return (T)((U)a - (U)b);
}
//// np_multiply
template <class T> FN T np_multiply(T a, T b) {
    typedef typename unsigned_of<T>::type U;
    return (T)((U)a * (U)b);
}
//// np_negative
template <class T> FN T np_negative(T a) { return np_subtract(T(0), a); }
//// np_absolute
template <class T> FN T np_absolute(T a) { return a < T(0) ? np_negative(a) : a; }
//// np_floor_divide
template <class T> FN T np_floor_divide(T a, T b) {
    if (b == 0) return 0;
    if (T(-1) < T(0) && b == T(-1)) return np_negative(a);
    T q = (T)(a / b);
    return (T)(q - (T(-1) < T(0) && q * b != a && (a < T(0)) != (b < T(0))));
}
template <class T> FN T float_floor_divide(T a, T b) {
    if (b == 0) return a / b;
    T left = m_fmod(a, b), q = (a - left) / b;
    if (left != 0 && (b < 0) != (left < 0)) q -= 1;
    if (q == 0) return m_copysign(T(0), a / b);
    T whole = m_floor(q);
    return q - whole > T(0.5) ? whole + 1 : whole;
}
FN float np_floor_divide(float a, float b) { return float_floor_divide(a, b); }
FN double np_floor_divide(double a, double b) { return float_floor_divide(a, b); }
//// np_remainder
template <class T> FN T np_remainder(T a, T b) {
    if (b == 0 || (T(-1) < T(0) && b == T(-1))) return 0;
    T left = (T)(a % b);
    return left != 0 && T(-1) < T(0) && (left < T(0)) != (b < T(0)) ? (T)(left + b) : left;
}
template <class T> FN T float_remainder(T a, T b) {
    T left = m_fmod(a, b);
    if (b == 0) return left;
    if (left == 0) return m_copysign(T(0), b);
    return (b < 0) != (left < 0) ? left + b : left;
}
FN float np_remainder(float a, float b) { return float_remainder(a, b); }
FN double np_remainder(double a, double b) { return float_remainder(a, b); }
//// np_fmod
template <class T> FN T np_fmod(T a, T b) {
    return b == 0 || (T(-1) < T(0) && b == T(-1)) ? T(0) : (T)(a % b);
}
//// np_power
template <class T> FN T np_power(T a, T b) {
    if (b < T(0)) return a == T(1) ? a : a == T(-1) ? (b & 1 ? a : T(1)) : T(0);
    T result = 1;
    for (; b != 0; b = (T)(b >> 1)) {
        if (b & 1) result = np_multiply(result, a);
        a = np_multiply(a, a);
    }
    return result;
}
//// np_sign
template <class T> FN T np_sign(T a) { return (T)((a > T(0)) - (a < T(0))); }
FN float np_sign(float a) { return a > 0 ? 1.0f : a < 0 ? -1.0f : a == 0 ? 0.0f : a; }
FN double np_sign(double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : a == 0 ? 0.0 : a; }
//// np_reciprocal
template <class T> FN T np_reciprocal(T a) { return a == 0 ? T(0) : (T)(T(1) / a); }
//// np_left_shift
template <class T> FN T np_left_shift(T a, T b) {
    typedef typename unsigned_of<T>::type U;
    return b >= T(0) && (U)b < 8 * sizeof(T) ? (T)((U)a << b) : T(0);
}
//// np_right_shift
template <class T> FN T np_right_shift(T a, T b) {
    typedef typename unsigned_of<T>::type U;
    return b >= T(0) && (U)b < 8 * sizeof(T) ? (T)(a >> b) : a < T(0) ? T(-1) : T(0);
}
//// unsigned_gcd
template <class T> FN typename unsigned_of<T>::type magnitude(T x) {
    typedef typename unsigned_of<T>::type U;
    return x < T(0) ? U(0) - (U)x : (U)x;
}
template <class U> FN U unsigned_gcd(U a, U b) {
    while (a != 0) {
        U left = b % a;
        b = a;
        a = left;
    }
    return b;
}
//// np_gcd
template <class T> FN T np_gcd(T x, T y) { return (T)unsigned_gcd(magnitude(x), magnitude(y)); }
//// np_lcm
template <class T> FN T np_lcm(T x, T y) {
    auto a = magnitude(x), b = magnitude(y), divisor = unsigned_gcd(a, b);
    return divisor == 0 ? T(0) : (T)(a / divisor * b);
}
//// np_below
FN bool np_below(long long a, unsigned long long b) { return a < 0 || (unsigned long long)a < b; }
FN bool np_below(unsigned long long a, long long b) { return b >= 0 && a < (unsigned long long)b; }
//// np_same
FN bool np_same(long long a, unsigned long long b) { return a >= 0 && (unsigned long long)a == b; }
FN bool np_same(unsigned long long a, long long b) { return np_same(b, a); }
//// np_maximum
template <class T> FN T np_maximum(T a, T b) { return a >= b || a != a ? a : b; }
//// np_minimum
template <class T> FN T np_minimum(T a, T b) { return a <= b || a != a ? a : b; }
//// np_fmax
template <class T> FN T np_fmax(T a, T b) { return a >= b || b != b ? a : b; }
//// np_fmin
template <class T> FN T np_fmin(T a, T b) { return a <= b || b != b ? a : b; }
//// np_isnan
template <class T> FN bool np_isnan(T x) { return x != x; }
//// np_isfinite
template <class T> FN bool np_isfinite(T x) { return x - x == 0; }
//// np_isinf
template <class T> FN bool np_isinf(T x) { return x == x && x - x != 0; }
//// np_signbit
FN bool np_signbit(float x) { return __float_as_int(x) < 0; }
FN bool np_signbit(double x) { return __double_as_longlong(x) < 0; }
//// np_heaviside
template <class T> FN T np_heaviside(T x, T at_zero) { return x == 0 ? at_zero : x < 0 ? T(0) : x > 0 ? T(1) : x; }
//// np_logaddexp
template <class T> FN T np_logaddexp(T x, T y) {
    if (x == y) return x + (T)0.693147180559945309417;
    T d = x - y;
    return d > 0 ? x + m_log1p(m_exp(-d)) : d <= 0 ? y + m_log1p(m_exp(d)) : d;
}
//// np_logaddexp2
template <class T> FN T np_logaddexp2(T x, T y) {
    if (x == y) return x + 1;
    T d = x - y, e = (T)1.442695040888963407360;
    return d > 0 ? x + e * m_log1p(m_exp2(-d)) : d <= 0 ? y + e * m_log1p(m_exp2(d)) : d;
}
//// np_tanh_slope
template <class T> FN T np_tanh_slope(T x) {
    T e = m_exp(-2 * m_fabs(x)), d = 1 + e;
    return 4 * (e / (d * d));
}
//// np_spacing
template <class T> FN T away_from_zero(T x, T infinity) {
    return x == 0 ? m_nextafter(T(0), infinity) : m_nextafter(x, m_copysign(infinity, x));
}
FN float np_spacing(float x) { return away_from_zero(x, INF_F32) - x; }
FN double np_spacing(double x) { return away_from_zero(x, INF_F64) - x; }
//// np_ldexp
FN int clipped(long long n) { return n > 100000 ? 100000 : n < -100000 ? -100000 : (int)n; }
FN float np_ldexp(float x, long long n) { return ldexpf(x, clipped(n)); }
FN double np_ldexp(double x, long long n) { return ldexp(x, clipped(n)); }
//// np_to_unsigned
template <class T> FN unsigned long long np_to_unsigned(T x) {
    return x < 0 ? (unsigned long long)(long long)x : (unsigned long long)x;
}
//// np_place
FN long long np_place(long long i, long long size) {
    // An index that NumPy would refuse takes the nearest element there is, rather than other memory.
    i = i < 0 ? i + size : i;
    return i < 0 ? 0 : i < size ? i : size - 1;
}
"""


def _parts() -> dict[str, str]:
    math = ""
    for name, count in MATH.items():
        names = ["x", "y"][:count]
        math += _MATH_PART.format(
            name=name,
            names=", ".join(names),
            floats=", ".join(f"float {x}" for x in names),
            doubles=", ".join(f"double {x}" for x in names),
        )
    found: dict[str, str] = {}
    for piece in (math + STRUCT + TEXT + COMPLEX).split("//// ")[1:]:
        name, _, content = piece.partition("\n")
        found[name] = found.get(name, "") + content
    return found


# In order: what a part uses is before it.
PARTS = _parts()

_USES = {name: {w for w in re.findall(r"\w+", text) if w in PARTS and w != name} for name, text in PARTS.items()}


def prelude(text: str) -> str:
    """The parts that a text needs, and the parts that these need."""
    words = set(re.findall(r"\w+", text))
    needed: set[str] = set()
    stack = [word for word in words if word in PARTS]
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack += _USES[name]
    parts = [content for name, content in PARTS.items() if name in needed]
    # These need nothing but CUDA's own functions.
    return "".join([BEGIN, *parts, *[part(name) for name in NAMES if f"f_{name}" in words]])
