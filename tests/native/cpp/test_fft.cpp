// Transforms of sixteen sequences against the sums that define them.
#include "fft.hpp"

#include <complex>

#include "check.hpp"
#include "tests.hpp"

using namespace causerie;

namespace {

void transform(int64_t size, int64_t max_size) {
    const auto from = normal(size * 2 * kLanes, static_cast<uint32_t>(size));
    std::vector<Complex> x(size), y(size);
    for (int64_t n = 0; n < size; ++n)
        x[n] = {load(from.data() + 2 * n * kLanes), load(from.data() + (2 * n + 1) * kLanes)};
    const Complex* found = Fft(max_size)(size, x.data(), y.data());
    for (int64_t k = 0; k < size; ++k) {
        float re[kLanes], im[kLanes];
        store(re, found[k].re), store(im, found[k].im);
        for (int lane = 0; lane < kLanes; lane += 5) {
            std::complex<double> sum = 0;
            for (int64_t n = 0; n < size; ++n) {
                const float* at = from.data() + 2 * n * kLanes + lane;
                const double angle = -2 * 3.14159265358979323846 * (k * n % size) / size;
                sum += std::complex<double>(at[0], at[kLanes]) * std::polar(1.0, angle);
            }
            CHECK_NEAR(re[lane], sum.real(), 1e-6 * size);
            CHECK_NEAR(im[lane], sum.imag(), 1e-6 * size);
        }
    }
}

}  // namespace

void test_fft() {
    for (int64_t size : {1, 2, 4, 8, 64}) transform(size, size);
    transform(128, 512);
}
