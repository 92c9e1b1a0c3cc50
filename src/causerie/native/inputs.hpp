// Brings rows of fp32 into the form in which they are multiplied with weights of a format.
#pragma once

#include "tile.hpp"

namespace causerie {

// Rows (m, k), ldx apart, for weights of a format. The result is held by the calling thread, and
// valid there until its next call; in fp32 it is x itself.
Inputs prepare(Pool& pool, Format format, const float* x, int64_t m, int64_t k, int64_t ldx);

}  // namespace causerie
