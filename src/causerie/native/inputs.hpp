// Converts fp32 rows to the inputs of products with weights of a format.
#pragma once

#include "tile.hpp"

namespace causerie {

// Rows (m, k), ldx apart, for weights of a format. The calling thread owns the result, which is valid
// until its next call; in fp32 it is x itself.
Inputs prepare(Pool& pool, Format format, const float* x, int64_t m, int64_t k, int64_t ldx);

}  // namespace causerie
