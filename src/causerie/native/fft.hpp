// The discrete Fourier transform of sixteen sequences at a time, one per lane.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "simd.hpp"

namespace causerie {

// A complex number in every lane.
template <class T>
struct ComplexOf {
    T re, im;
};
template <class T>
inline ComplexOf<T> operator+(const ComplexOf<T>& a, const ComplexOf<T>& b) {
    return {a.re + b.re, a.im + b.im};
}
template <class T>
inline ComplexOf<T> operator-(const ComplexOf<T>& a, const ComplexOf<T>& b) {
    return {a.re - b.re, a.im - b.im};
}
template <class T>
inline ComplexOf<T> operator*(const ComplexOf<T>& a, const ComplexOf<T>& b) {
    return {a.re * b.re - a.im * b.im, fma(a.re, b.im, a.im * b.re)};
}
using Complex = ComplexOf<Floats>;

// Transforms of up to `max_size` numbers, x[k] ← Σ x[n] e^(-2πi kn / size), for powers of two.
class Fft {
   public:
    explicit Fft(int64_t max_size) {
        for (int64_t k = 0; k < max_size; ++k) {
            const double angle = -2 * 3.14159265358979323846 * k / max_size;
            roots_.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
        }
    }

    // e^(-2πi k / max_size), 0 ≤ k < max_size.
    Complex root(int64_t k) const { return {floats(roots_[k].re), floats(roots_[k].im)}; }

    // Transforms x with the help of y. Returns the one of them that holds the result.
    Complex* operator()(int64_t size, Complex* x, Complex* y) const;

   private:
    using Part = ComplexOf<FloatPart>;

    std::vector<ComplexOf<float>> roots_;
};

// Stockham's algorithm in passes of radix 4, and one of radix 2 where needed: order is natural on both
// sides. Each pass takes `length` apart, for `stride` sequences side by side.
inline Complex* Fft::operator()(int64_t size, Complex* x, Complex* y) const {
    const auto part = [](const Complex& from, int i) { return Part{from.re.part[i], from.im.part[i]}; };
    const auto put = [](Complex& to, int i, const Part& value) {
        to.re.part[i] = value.re, to.im.part[i] = value.im;
    };
    int64_t length = size, stride = 1;
    for (; length >= 4; length /= 4, stride *= 4, std::swap(x, y)) {
        const int64_t quarter = length / 4, step = static_cast<int64_t>(roots_.size()) / length;
        for (int64_t p = 0; p < quarter; ++p) {
            const Complex roots[3] = {root(p * step), root(2 * p * step), root(3 * p * step)};
            for (int64_t q = 0; q < stride; ++q) {
                const Complex* from = x + q + stride * p;
                Complex* to = y + q + stride * 4 * p;
                // Register by register: a whole butterfly has to fit.
                CAUSERIE_PARTS {
                    const Part a = part(from[0], i), b = part(from[stride * quarter], i);
                    const Part c = part(from[2 * stride * quarter], i);
                    const Part d = part(from[3 * stride * quarter], i);
                    const Part even = a + c, odd = a - c, sum = b + d, difference = b - d;
                    const Part turned = {difference.im, -difference.re};  // times -i
                    put(to[0], i, even + sum);
                    put(to[stride], i, (odd + turned) * part(roots[0], i));
                    put(to[2 * stride], i, (even - sum) * part(roots[1], i));
                    put(to[3 * stride], i, (odd - turned) * part(roots[2], i));
                }
            }
        }
    }
    if (length == 2) {
        for (int64_t q = 0; q < stride; ++q) {
            const Complex a = x[q], b = x[q + stride];
            y[q] = a + b, y[q + stride] = a - b;
        }
        std::swap(x, y);
    }
    return x;
}

}  // namespace causerie
