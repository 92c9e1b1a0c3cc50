// The nonlinear functions of the codec, sixteen numbers at a time, and a way to map them over
// arrays of any length. Knows nothing about layers.
//
// A function gives the same bits for a number at any place in an array.
#pragma once

#include "simd.hpp"

namespace causerie {

// The first `count` numbers of p, and `fill` for the rest.
inline Floats load_some(const float* p, int64_t count, float fill) {
    if (count >= kLanes) return load(p);
    float v[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) v[i] = i < count ? p[i] : fill;
    return load(v);
}
inline void store_some(float* p, const Floats& x, int64_t count) {
    if (count >= kLanes) return store(p, x);
    float v[kLanes];
    store(v, x);
    std::memcpy(p, v, count * sizeof(float));
}

// y[i] = f(x[i]) for n numbers; y may be x.
template <class F>
void map(const float* x, float* y, int64_t n, F&& f) {
    for (int64_t i = 0; i < n; i += kLanes) store_some(y + i, f(load_some(x + i, n - i, 0)), n - i);
}

// eˣ - 1 for x ≤ 0, to about 1e-7 relative, near 0 too; x is clamped to -87.
CAUSERIE_INLINE Floats expm1(const Floats& x) {
    const Floats held = at_least(floats(-87.0f), x);
    Ints power;
    const Floats n = nearest(held * floats(1.44269504f), &power);  // log2 e
    // r = x - n ln 2, ln 2 in two parts of which the first has few digits.
    const Floats r = fma(n, floats(2.12194440e-4f), fma(n, floats(-0.693359375f), held));
    // eʳ - 1 = r + r² q(r); q has the least largest relative error, 1.3e-8, over |r| < ln 2 / 2.
    Floats q = floats(1.3946554e-3f);
    q = fma(q, r, floats(8.3666444e-3f));
    q = fma(q, r, floats(4.1666280e-2f));
    q = fma(q, r, floats(1.6666542e-1f));
    q = fma(q, r, floats(0.5f));
    const Floats scale = as_floats(shift_left(power, 23) + ints(0x3f800000));  // 2ⁿ
    return fma(scale, fma(q, r * r, r), scale - floats(1.0f));
}

// x, or eˣ - 1 below 0.
CAUSERIE_INLINE Floats elu(const Floats& x) {
    return at_least(floats(0.0f), x) + expm1(at_most(floats(0.0f), x));
}

// x Φ(x) = (x + |x| erf(|x| / √2)) / 2, Φ the normal distribution: not the tanh approximation.
CAUSERIE_INLINE Floats gelu(const Floats& x) {
    const Floats size = as_floats(as_ints(x) & ints(0x7fffffff));  // |x|
    const Floats z = at_most(floats(4.0f), size * floats(0.70710678f));  // erf(4) rounds to 1
    // erf z = 1 - e^(-z p(z)); p has the least largest relative error, 3.5e-8, over 0 … 4.
    Floats p = floats(4.0722618e-5f);
    p = fma(p, z, floats(-3.8111128e-4f));
    p = fma(p, z, floats(1.2520691e-3f));
    p = fma(p, z, floats(2.0525462e-4f));
    p = fma(p, z, floats(-1.9321376e-2f));
    p = fma(p, z, floats(1.0281429e-1f));
    p = fma(p, z, floats(6.3661653e-1f));
    p = fma(p, z, floats(1.1283792f));
    return (x - size * expm1(floats(0.0f) - z * p)) * floats(0.5f);
}

// ln(1 + z) for 0 ≤ z ≤ 1, to about 2e-7 relative.
CAUSERIE_INLINE Floats log1p(const Floats& z) {
    Floats p = floats(5.2534578e-3f);  // ln(1 + z) / z, interpolated at Chebyshev's points
    p = fma(p, z, floats(-2.9588507e-2f));
    p = fma(p, z, floats(7.8361668e-2f));
    p = fma(p, z, floats(-1.3674770e-1f));
    p = fma(p, z, floats(1.9111431e-1f));
    p = fma(p, z, floats(-2.4844370e-1f));
    p = fma(p, z, floats(3.3319271e-1f));
    p = fma(p, z, floats(-4.9999502e-1f));
    p = fma(p, z, floats(9.9999997e-1f));
    return p * z;
}

struct SinCos {
    Floats sin, cos;
};

// Of r + quadrant · π/2, |r| ≤ π/4, to about 1e-7; the low two bits of the quadrant count.
CAUSERIE_INLINE SinCos sin_cos(const Floats& r, const Ints& quadrant) {
    const Floats square = r * r;
    Floats s = floats(-1.9515295891e-4f);  // the polynomials of Cephes' sinf and cosf
    s = fma(s, square, floats(8.3321608736e-3f));
    s = fma(s, square, floats(-1.6666654611e-1f));
    s = fma(s, square * r, r);
    Floats c = floats(2.443315711809948e-5f);
    c = fma(c, square, floats(-1.388731625493765e-3f));
    c = fma(c, square, floats(4.166664568298827e-2f));
    c = fma(c, square * square, fma(square, floats(-0.5f), floats(1.0f)));
    const Ints odd = not_zero(quadrant & ints(1));
    const Ints minus_sin = shift_left(quadrant & ints(2), 30);
    const Ints minus_cos = shift_left((quadrant + ints(1)) & ints(2), 30);
    return {as_floats(as_ints(select(odd, c, s)) ^ minus_sin),
            as_floats(as_ints(select(odd, s, c)) ^ minus_cos)};
}

// Of x radians, |x| < 10⁴, to about 2e-7.
CAUSERIE_INLINE SinCos sin_cos(const Floats& x) {
    Ints quadrant;
    const Floats n = nearest(x * floats(0.63661977f), &quadrant);  // 2 / π
    // x - n π/2, π/2 in three parts of which the first two have few digits.
    Floats r = fma(n, floats(-1.5703125f), x);
    r = fma(n, floats(-4.837512969970703e-4f), r);
    return sin_cos(fma(n, floats(-7.549789954891882e-8f), r), quadrant);
}

// Of 2π t / 2³²: the reduction is exact.
CAUSERIE_INLINE SinCos sin_cos_of_turn(const Ints& t) {
    const Ints quadrant = shift_right(t + ints(1 << 29), 30);
    const Ints rest = t - shift_left(quadrant, 30);
    return sin_cos(to_floats(rest) * floats(1.4629180792671596e-9f), quadrant);
}

}  // namespace causerie
