// The operations of simd.hpp and activations.hpp, lane by lane against scalar code.
#include "simd.hpp"

#include <cstring>
#include <limits>

#include "activations.hpp"
#include "check.hpp"
#include "tests.hpp"

using namespace causerie;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

#if defined(CAUSERIE_AVX512) || defined(CAUSERIE_AVX2) || defined(__aarch64__)
float scalar_fma(float a, float b, float c) { return std::fma(a, b, c); }
#else
float scalar_fma(float a, float b, float c) {
    const volatile float product = a * b;
    return product + c;
}
#endif

bool same(float a, float b) { return !std::memcmp(&a, &b, sizeof a); }

void arithmetic() {
    const auto a = normal(kLanes, 1), b = normal(kLanes, 2), c = normal(kLanes, 3);
    const Floats x = load(a.data()), y = load(b.data()), z = load(c.data());
    float sums[kLanes], differences[kLanes], products[kLanes], quotients[kLanes], fused[kLanes];
    store(sums, x + y);
    store(differences, x - y);
    store(products, x * y);
    store(quotients, x / y);
    store(fused, fma(x, y, z));
    for (int i = 0; i < kLanes; ++i) {
        CHECK(same(sums[i], a[i] + b[i]));
        CHECK(same(differences[i], a[i] - b[i]));
        CHECK(same(products[i], a[i] * b[i]));
        CHECK(same(quotients[i], a[i] / b[i]));
        CHECK(same(fused[i], scalar_fma(a[i], b[i], c[i])));
    }
    float picked[kLanes];
    store(picked, select(less(x, y), x, z));
    for (int i = 0; i < kLanes; ++i) CHECK(same(picked[i], a[i] < b[i] ? a[i] : c[i]));
    double total = 0;
    float most = a[0];
    for (float value : a) total += value, most = std::fmax(most, value);
    CHECK_NEAR(sum(x), total, 1e-5);
    CHECK(same(largest(x), most));
}

void limits() {
    float x[kLanes] = {}, low[kLanes], high[kLanes];
    x[0] = NAN, x[1] = -kInfinity, x[2] = kInfinity, x[3] = 2, x[4] = -2;
    store(low, at_least(floats(-1), load(x)));
    store(high, at_most(floats(1), load(x)));
    CHECK(std::isnan(low[0]) && std::isnan(high[0]));
    CHECK(low[1] == -1 && low[2] == kInfinity && low[3] == 2 && low[4] == -1);
    CHECK(high[1] == -kInfinity && high[2] == 1 && high[3] == 1 && high[4] == -2);
}

void integers() {
    int32_t a[kLanes], b[kLanes], out[kLanes];
    std::mt19937 engine(4);
    for (int i = 0; i < kLanes; ++i) a[i] = static_cast<int32_t>(engine()), b[i] = engine() >> 1;
    const Ints x = load(static_cast<const void*>(a)), y = load(static_cast<const void*>(b));
    const auto each = [&](const Ints& found, auto&& expected) {
        store(out, found);
        for (int i = 0; i < kLanes; ++i) CHECK(out[i] == expected(a[i], b[i]));
    };
    each(shift_right(x, 8) + shift_right(y, 8), [](int32_t i, int32_t j) { return (i >> 8) + (j >> 8); });
    each(x & y, [](int32_t i, int32_t j) { return i & j; });
    each(shift_left(x, 7), [](int32_t i, int32_t) {
        return static_cast<int32_t>(static_cast<uint32_t>(i) << 7);
    });
    each(shift_right(x, 7), [](int32_t i, int32_t) { return i >> 7; });
    each(larger(x, y), [](int32_t i, int32_t j) { return std::max(i, j); });
    each(x - y, [](int32_t i, int32_t j) {
        return static_cast<int32_t>(static_cast<uint32_t>(i) - static_cast<uint32_t>(j));
    });
    each(x * y, [](int32_t i, int32_t j) {
        return static_cast<int32_t>(static_cast<uint32_t>(i) * static_cast<uint32_t>(j));
    });
    each(x ^ y, [](int32_t i, int32_t j) { return i ^ j; });
    each(not_zero(x & ints(1)), [](int32_t i, int32_t) { return i & 1 ? -1 : 0; });
    each(to_ints(floats(-2.75f)), [](int32_t, int32_t) { return -2; });
    each(ints(-5), [](int32_t, int32_t) { return -5; });
    each(as_ints(as_floats(x)), [](int32_t i, int32_t) { return i; });
    int32_t most = a[0];
    for (int32_t value : a) most = std::max(most, value);
    CHECK(largest(x) == most);
    float converted[kLanes];
    store(converted, to_floats(x));
    for (int i = 0; i < kLanes; ++i) CHECK(same(converted[i], static_cast<float>(a[i])));
}

// Products of bytes, at random and at their ends.
void dots_of_bytes() {
    std::mt19937 engine(5);
    for (int round = 0; round < 200; ++round) {
        uint8_t a[64];
        int8_t b[64];
        int32_t c[kLanes], out[kLanes];
        for (int i = 0; i < 64; ++i) {
            a[i] = static_cast<uint8_t>(round < 2 ? 255 : engine());
            b[i] = static_cast<int8_t>(round == 0 ? -128 : round == 1 ? 127 : engine());
        }
        for (int32_t& value : c) value = static_cast<int32_t>(engine()) >> 2;
        store(out, dot4(load(static_cast<const void*>(a)), load(static_cast<const void*>(b)),
                        load(static_cast<const void*>(c))));
        for (int i = 0; i < kLanes; ++i) {
            int32_t expected = c[i];
            for (int j = 0; j < 4; ++j) expected += a[4 * i + j] * b[4 * i + j];
            CHECK(out[i] == expected);
        }
    }
}

// Products of 16-bit integers, at random and at their ends.
void dots_of_integers() {
    std::mt19937 engine(6);
    for (int round = 0; round < 200; ++round) {
        int16_t a[32], b[32];
        int32_t c[kLanes], out[kLanes];
        for (int i = 0; i < 32; ++i) {
            a[i] = static_cast<int16_t>(round < 2 ? 32767 : engine() % 65535 - 32767);
            b[i] = static_cast<int16_t>(round == 0   ? -32767
                                        : round == 1 ? 32767
                                                     : engine() % 65535 - 32767);
        }
        for (int32_t& value : c) value = static_cast<int32_t>(engine()) >> 15;
        store(out, dot2(load(static_cast<const void*>(a)), load(static_cast<const void*>(b)),
                        load(static_cast<const void*>(c))));
        for (int i = 0; i < kLanes; ++i)
            CHECK(out[i] == c[i] + a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    }
}

void dots_of_bf16() {
    const auto a = normal(32, 6), b = normal(32, 7), c = normal(kLanes, 8);
    uint16_t x[32], y[32];
    for (int i = 0; i < 32; ++i) x[i] = to_bf16(a[i]), y[i] = to_bf16(b[i]);
    float out[kLanes];
    store(out, dot2(load(static_cast<const void*>(x)), load(static_cast<const void*>(y)),
                    load(c.data())));
    for (int i = 0; i < kLanes; ++i) {
        const float even = scalar_fma(from_bf16(x[2 * i]), from_bf16(y[2 * i]), c[i]);
        const float both = scalar_fma(from_bf16(x[2 * i + 1]), from_bf16(y[2 * i + 1]), even);
#if defined(CAUSERIE_AVX512)  // the instruction adds the odd product first
        CHECK_NEAR(out[i], both, 2e-6);
#else
        CHECK(same(out[i], both));
#endif
    }
}

// Rounds by division, not by bits: independent of to_bf16.
float nearest_bf16(float x) {
    if (x == 0 || !std::isfinite(x)) return x;
    int exponent;
    std::frexp(x, &exponent);
    const double unit = std::ldexp(1.0, exponent - 8);
    return static_cast<float>(std::nearbyint(x / unit) * unit);
}

void bf16() {
    auto values = normal(kLanes * 64, 9);
    for (size_t i = 0; i < values.size(); ++i)
        values[i] = std::ldexp(values[i], static_cast<int>(i % 200) - 100);
    const float special[] = {0, -0.0f, 1, kInfinity, -kInfinity, 1.00390625f, 1.01171875f};
    std::copy(std::begin(special), std::end(special), values.begin());
    for (size_t at = 0; at < values.size(); at += kLanes) {
        uint16_t rounded[kLanes];
        float back[kLanes];
        store_bf16(rounded, load(&values[at]));
        store(back, load_bf16(rounded));
        for (int i = 0; i < kLanes; ++i) {
            CHECK(rounded[i] == to_bf16(values[at + i]));
            CHECK(same(back[i], from_bf16(rounded[i])));
            CHECK(same(back[i], nearest_bf16(values[at + i])));
        }
    }
    uint16_t rounded[kLanes];
    store_bf16(rounded, floats(NAN));
    CHECK(std::isnan(from_bf16(rounded[0])) && std::isnan(from_bf16(to_bf16(NAN))));
}

template <class Found, class Expected>
void function(Found&& found, Expected&& expected, double from, double to, double tolerance) {
    for (int i = 0; i < 4000; i += kLanes) {
        float x[kLanes], y[kLanes];
        for (int j = 0; j < kLanes; ++j)
            x[j] = static_cast<float>(from + (to - from) * (i + j) / 4000);
        store(y, found(load(x)));
        for (int j = 0; j < kLanes; ++j) {
            const double wanted = expected(static_cast<double>(x[j]));
            CHECK_NEAR(y[j], wanted, tolerance * std::fmax(std::fabs(wanted), 1e-30));
        }
    }
}

void functions() {
    function([](const Floats& x) { return exp(x); }, [](double x) { return std::exp(x); }, -80, 80, 3e-7);
    function([](const Floats& x) { return expm1(x); }, [](double x) { return std::expm1(x); }, -20, -1e-4, 3e-7);
    function([](const Floats& x) { return elu(x); },
             [](double x) { return x > 0 ? x : std::expm1(x); }, -20, 20, 3e-7);
    for (float x = -6; x < 6; x += 0.01f) {
        float y[kLanes];
        store(y, gelu(floats(x)));
        CHECK_NEAR(y[0], x * std::erfc(-x / std::sqrt(2.0)) / 2, 1e-6);
    }
    function([](const Floats& x) { return log1p(x); }, [](double x) { return std::log1p(x); }, 0, 1, 3e-7);
    function([](const Floats& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }, 0, 1e4, 1e-7);
    for (double x = -600; x < 600; x += 0.37) {
        float sines[kLanes], cosines[kLanes];
        const float rounded = static_cast<float>(x);
        const SinCos found = sin_cos(floats(rounded));
        store(sines, found.sin), store(cosines, found.cos);
        CHECK_NEAR(sines[0], std::sin(static_cast<double>(rounded)), 2e-7);
        CHECK_NEAR(cosines[0], std::cos(static_cast<double>(rounded)), 2e-7);
    }
    for (int64_t t = -(int64_t{1} << 31); t < int64_t{1} << 31; t += 1234567) {
        float sines[kLanes], cosines[kLanes];
        const SinCos found = sin_cos_of_turn(ints(static_cast<int32_t>(t)));
        store(sines, found.sin), store(cosines, found.cos);
        const double angle = 2 * 3.14159265358979323846 * t / 4294967296.0;
        CHECK_NEAR(sines[0], std::sin(angle), 2e-7);
        CHECK_NEAR(cosines[0], std::cos(angle), 2e-7);
    }
    float rounded[kLanes];
    Ints integers;
    const float halves[kLanes] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0.49f, -7.51f, 1e6f};
    store(rounded, nearest(load(halves), &integers));
    for (int i = 0; i < kLanes; ++i) CHECK(rounded[i] == std::nearbyint(halves[i]));
    int32_t whole[kLanes];
    store(whole, shift_right(shift_left(integers, 24), 24));
    for (int i = 0; i < 7; ++i) CHECK(whole[i] == static_cast<int32_t>(std::nearbyint(halves[i])));
}

// Numbers that do not fill a register.
void map_of_some() {
    const auto x = normal(37, 10);
    std::vector<float> y(38, -1);
    map(x.data(), y.data(), 37, [](const Floats& v) { return v + v; });
    for (int i = 0; i < 37; ++i) CHECK(same(y[i], 2 * x[i]));
    CHECK(y[37] == -1);
}

}  // namespace

void test_simd() {
    arithmetic();
    limits();
    integers();
    dots_of_bytes();
    dots_of_integers();
    dots_of_bf16();
    bf16();
    functions();
    map_of_some();
}
