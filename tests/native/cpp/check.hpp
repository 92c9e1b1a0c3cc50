// Checks that print what failed, and reproducible random numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

inline int failures = 0;

#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
#define CHECK_NEAR(found, expected, tolerance) \
    check_near((found), (expected), (tolerance), __FILE__, __LINE__, #found)

inline void check(bool holds, const char* file, int line, const char* text) {
    if (!holds && ++failures <= 50) std::printf("%s:%d: %s\n", file, line, text);
}

// NaN is near to nothing.
inline void check_near(double found, double expected, double tolerance, const char* file, int line,
                       const char* text) {
    if (!(std::fabs(found - expected) <= tolerance) && ++failures <= 50)
        std::printf("%s:%d: %s is %.9g, not %.9g ± %.2g\n", file, line, text, found, expected,
                    tolerance);
}

inline std::vector<float> normal(int64_t count, uint32_t seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> draw;
    std::vector<float> out(count);
    for (float& value : out) value = draw(engine);
    return out;
}
