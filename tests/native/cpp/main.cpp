// Runs the tests of the kernels without Python, so that they also run under an emulator.
#include "check.hpp"
#include "simd.hpp"
#include "tests.hpp"

int main() {
    test_simd();
    test_fft();
    test_products();
    test_attention();
    test_sampling();
#if defined(__aarch64__)
    const char* with = "NEON";
#elif defined(CAUSERIE_AVX512)
    const char* with = "AVX-512";
#elif defined(CAUSERIE_AVX2)
    const char* with = "AVX2";
#else
    const char* with = "no instructions by name";
#endif
    std::printf("%d checks failed, with %s\n", failures, with);
    return failures ? 1 : 0;
}
