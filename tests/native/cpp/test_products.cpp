// Products of packed weights against sums in double precision, and their threads.
#include <algorithm>
#include <cstring>
#include <memory>

#include "check.hpp"
#include "gemm.hpp"
#include "simd.hpp"
#include "tests.hpp"

using namespace causerie;

namespace {

constexpr Format kFormats[] = {Format::f32, Format::bf16, Format::int8, Format::int4, Format::int5};

struct Matrix {
    int64_t rows, columns;
    std::vector<float> values;

    Matrix(int64_t rows, int64_t columns, uint32_t seed = 0)
        : rows(rows), columns(columns), values(rows * columns) {
        if (seed) values = normal(rows * columns, seed);
    }
    float& at(int64_t row, int64_t column) { return values[row * columns + column]; }
    float at(int64_t row, int64_t column) const { return values[row * columns + column]; }
};

bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(float));
}

using Weights = std::unique_ptr<Packed>;

Weights packed(Pool& pool, const Matrix& w, Format format, bool plain = false) {
    Weights out(new_packed(w.rows, w.columns, format, plain));
    pack_rows(pool, *out, 0, w.values.data(), w.rows, w.columns);
    return out;
}

Matrix product(Pool& pool, const Packed& w, const Matrix& x) {
    Matrix y(x.rows, w.n);
    gemm(pool, w, x.values.data(), x.rows, x.columns, y.values.data(), y.columns);
    return y;
}

Matrix rounded_to_bf16(Matrix x) {
    for (float& value : x.values) value = from_bf16(to_bf16(value));
    return x;
}

// A group's largest magnitude becomes ±127.
Matrix rounded_inputs(Matrix x) {
    for (int64_t row = 0; row < x.rows; ++row)
        for (int64_t first = 0; first < x.columns; first += kGroup) {
            const int64_t end = std::min(first + kGroup, x.columns);
            float most = 0;
            for (int64_t k = first; k < end; ++k) most = std::max(most, std::fabs(x.at(row, k)));
            const double scale = most / 127.0;
            for (int64_t k = first; most > 0 && k < end; ++k)
                x.at(row, k) = static_cast<float>(std::nearbyint(x.at(row, k) / scale) * scale);
        }
    return x;
}

// The weights that a format keeps, as products with 1 see them.
Matrix kept_by(Pool& pool, const Matrix& w, Format format) {
    Matrix one(w.columns, w.columns);
    for (int64_t k = 0; k < w.columns; ++k) one.at(k, k) = 1;
    const Matrix columns = product(pool, *packed(pool, w, format), one);
    Matrix out(w.rows, w.columns);
    for (int64_t n = 0; n < w.rows; ++n)
        for (int64_t k = 0; k < w.columns; ++k) out.at(n, k) = columns.at(k, n);
    return out;
}

// How far each weight is from the one kept: half a step of the group's scale, and in int4 and int5, whose
// scales are chosen among a few and whose steps reach from -8 to 7 or -16 to 15, some steps: the smallest
// scale is about half the one that reaches the largest weight.
void check_kept(const Matrix& w, const Matrix& kept, Format format) {
    const bool int8 = format == Format::int8;
    const int64_t group = int8 ? kGroup : kHalf;
    const double levels = int8 ? 127 : format == Format::int5 ? 16 : 8;
    const double error_share = int8 ? 2e-4 : format == Format::int5 ? 0.012 : 0.04;
    for (int64_t n = 0; n < w.rows; ++n)
        for (int64_t first = 0; first < w.columns; first += group) {
            const int64_t end = std::min(first + group, w.columns);
            float most = 0;
            double square = 0, error = 0;
            for (int64_t k = first; k < end; ++k) most = std::max(most, std::fabs(w.at(n, k)));
            const double step = most / levels;
            for (int64_t k = first; k < end; ++k) {
                const double off = kept.at(n, k) - w.at(n, k);
                CHECK(std::fabs(off) <= step * (int8 ? 0.9 : 0.5 * levels));  // the scale is in bf16
                square += w.at(n, k) * w.at(n, k);
                error += off * off;
            }
            CHECK(error <= square * error_share + 1e-12);
        }
}

void formats() {
    Pool pool(2);
    const int64_t sizes[][2] = {{1, 1}, {5, 7}, {16, 64}, {33, 100}, {70, 257}, {64, 256}};
    for (Format format : kFormats)
        for (const auto& size : sizes) {
            const Matrix w(size[0], size[1], 11), x(9, size[1], 12);
            Matrix weights = w, inputs = x;
            if (format == Format::bf16) {
                weights = rounded_to_bf16(w);
                inputs = rounded_to_bf16(x);
            } else if (format != Format::f32) {
                weights = kept_by(pool, w, format);
                check_kept(w, weights, format);
                inputs = rounded_inputs(x);
            }
            const Matrix y = product(pool, *packed(pool, w, format), x);
            for (int64_t m = 0; m < y.rows; ++m)
                for (int64_t n = 0; n < y.columns; ++n) {
                    double expected = 0;
                    for (int64_t k = 0; k < w.columns; ++k)
                        expected += double(inputs.at(m, k)) * weights.at(n, k);
                    CHECK_NEAR(y.at(m, n), expected, 2e-6 * w.columns + 1e-5);
                }
        }
}

// A row's result does not depend on the other rows or on the number of threads.
void rows_and_threads() {
    Pool one(1), three(3);
    for (Format format : kFormats)
        for (int64_t k : {256, 257}) {
            const Matrix w(130, k, 13), x(125, k, 14);
            const Weights weights = packed(three, w, format);
            Matrix alone(x.rows, w.rows);
            for (int64_t row = 0; row < x.rows; ++row)
                gemm(one, *weights, &x.values[row * k], 1, k, &alone.at(row, 0), w.rows);
            for (int64_t rows : {2, 3, 7, 13, 121, 125}) {
                Matrix some(rows, k);
                std::copy_n(x.values.begin(), rows * k, some.values.begin());
                const std::vector<float> expected(alone.values.begin(),
                                                  alone.values.begin() + rows * w.rows);
                CHECK(same(product(one, *weights, some).values, expected));
                CHECK(same(product(three, *weights, some).values, expected));
            }
        }
}

void bias_and_accumulation() {
    Pool pool(1);
    const Matrix w(37, 20, 15), x(8, 20, 16), bias(1, 37, 17), before(8, 37, 18);
    const Weights weights = packed(pool, w, Format::f32);
    const Matrix plain = product(pool, *weights, x);
    Matrix y = before;
    gemm(pool, *weights, x.values.data(), 8, 20, y.values.data(), 37, bias.values.data(), true);
    for (int64_t m = 0; m < 8; ++m)
        for (int64_t n = 0; n < 37; ++n)
            CHECK(y.at(m, n) == plain.at(m, n) + bias.at(0, n) + before.at(m, n));
}

// bf16 in 12 bits, where the kernels have it, is bf16 to the bit: with weights of about one size,
// some that differ, and so many that the panels stay as they were.
void twelve_bits() {
    Pool pool(2);
    for (double share : {0.0, 2e-4, 1.0})
        for (int64_t k : {8, 256, 1000}) {
            Matrix w(70, k, 19);
            std::mt19937 engine(20);
            for (float& value : w.values)
                if (engine() < share * 4294967295.0)
                    value = std::ldexp(value, static_cast<int>(engine() % 120) - 60);
            w.at(3, 5) = 0, w.at(4, 1) = -0.0f, w.at(4, 2) = 1e-40f, w.at(4, 3) = -1e38f;
            const Weights compact = packed(pool, w, Format::bf16);
            const Weights plain = packed(pool, w, Format::bf16, true);
            CHECK(compact->compact == kCompacts && !plain->compact);
            for (int64_t rows : {1, 2, 7, 49}) {
                const Matrix x(rows, k, 21);
                CHECK(same(product(pool, *compact, x).values, product(pool, *plain, x).values));
            }
        }
}

void not_finite() {
    Pool pool(1);
    for (Format format : kFormats)
        for (float wrong : {NAN, INFINITY}) {
            const Matrix w(20, 104, 22);
            Matrix x(2, 104, 23);
            x.at(1, 70) = wrong;
            const Matrix y = product(pool, *packed(pool, w, format), x);
            for (int64_t n = 0; n < 20; ++n)
                CHECK(std::isfinite(y.at(0, n)) && !std::isfinite(y.at(1, n)));
        }
}

void every_chunk_runs_once() {
    for (int threads : {1, 2, 5}) {
        Pool pool(threads);
        for (int round = 0; round < 50; ++round) {
            std::vector<int> runs(round);
            parallel(pool, round, [&](int64_t chunk) {
                ++runs[chunk];
                parallel(pool, 2, [](int64_t) {});  // nested: on this thread
            });
            CHECK(std::all_of(runs.begin(), runs.end(), [](int count) { return count == 1; }));
        }
    }
}

}  // namespace

void test_products() {
    formats();
    rows_and_threads();
    bias_and_accumulation();
    twelve_bits();
    not_finite();
    every_chunk_runs_once();
}
