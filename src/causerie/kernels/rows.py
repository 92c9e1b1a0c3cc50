"""A transformer's products for a few rows as Triton kernels, bound by the reading of weights.

One frame of csm-1b at batch 1 is about 800 dependent products of 2 to 67 MB each. So each kernel
first loads its weights, and then waits for the rows that the previous kernel is still computing:
*programmatic dependent launch*, on GPUs that have it. Norms, rotations, activations and sums are
fused into the kernels of their products.

A program computes a few outputs for all rows; its weights stay in registers, so another row costs
arithmetic only. Weights have the model's dtype, or int8 with one scale per output. Sums are in fp32
and are rounded to the model's dtype when they are stored.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import cuda


@triton.jit
def _begin(early: tl.constexpr):
    """Allow the next kernel to start, and wait for the results of the previous one."""
    if early:
        cuda.gdc_launch_dependents()
        cuda.gdc_wait()


@triton.jit
def _weights(weights, outputs, k, width: tl.constexpr):
    """Rows (N, BK) of a matrix with rows of `width` numbers."""
    return tl.load(weights + outputs[:, None] * width + k[None, :], k[None, :] < width, 0)


@triton.jit
def _product(weights, row):
    return tl.sum(weights.to(tl.float32) * row[None, :], axis=1)


@triton.jit
def _scales(scales, outputs, HAS_SCALES: tl.constexpr):
    """Scales of the rows of an int8 matrix; 1 without scales."""
    if HAS_SCALES:
        return tl.load(scales + outputs)
    else:
        return 1.0


@triton.jit
def _normed(x, k, gain, width: tl.constexpr, eps):
    """A row times the gains of its norm, and the factor that is still missing."""
    row = tl.load(x + k, k < width, 0).to(tl.float32)
    return row * gain, tl.rsqrt(tl.sum(row * row) / width + eps)


@triton.jit
def query_key_value(
    x, norm, weights, scales, cos, sin, positions, query, keys, values,
    position_stride, slot_stride, head_stride, eps,
    NUM_ROWS: tl.constexpr, LENGTH: tl.constexpr, WIDTH: tl.constexpr, NUM_HEADS: tl.constexpr,
    NUM_KV_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, HAS_SCALES: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """Compute queries (M, H·E), and write keys and values, of normalised rows x (M, D).

    A program computes BLOCK_N pairs of features that turn together. Row m belongs to slot
    m // LENGTH.
    """
    HALF: tl.constexpr = HEAD_DIM // 2
    pair = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    head, feature = pair // HALF, pair % HALF
    output = head * HEAD_DIM + feature
    k = tl.arange(0, BLOCK_K)
    first = _weights(weights, output, k, WIDTH)
    second = _weights(weights, output + HALF, k, WIDTH)
    first_scales = _scales(scales, output, HAS_SCALES)
    second_scales = _scales(scales, output + HALF, HAS_SCALES)
    gain = tl.load(norm + k, k < WIDTH, 0).to(tl.float32)
    _begin(EARLY)
    for m in tl.static_range(NUM_ROWS):
        row, scale = _normed(x + m * WIDTH, k, gain, WIDTH, eps)
        dtype = query.dtype.element_ty
        a = (_product(first, row) * first_scales * scale).to(dtype).to(tl.float32)
        b = (_product(second, row) * second_scales * scale).to(dtype).to(tl.float32)
        position = tl.load(positions + m * position_stride)
        c = tl.load(cos + position * HALF + feature)
        s = tl.load(sin + position * HALF + feature)
        turns = head < NUM_HEADS + NUM_KV_HEADS
        low = tl.where(turns, a * c - b * s, a).to(dtype)
        high = tl.where(turns, b * c + a * s, b).to(dtype)
        is_query = head < NUM_HEADS
        into = query + m * NUM_HEADS * HEAD_DIM + output
        tl.store(into, low, is_query)
        tl.store(into + HALF, high, is_query)
        place = (m // LENGTH) * slot_stride + position * HEAD_DIM + feature
        into = keys + place + (head - NUM_HEADS) * head_stride
        tl.store(into, low, turns & (head >= NUM_HEADS))
        tl.store(into + HALF, high, turns & (head >= NUM_HEADS))
        into = values + place + (head - NUM_HEADS - NUM_KV_HEADS) * head_stride
        tl.store(into, low, head >= NUM_HEADS + NUM_KV_HEADS)
        tl.store(into + HALF, high, head >= NUM_HEADS + NUM_KV_HEADS)


@triton.jit
def attend(
    query, keys, values, positions, out, parts, peaks,
    position_stride, slot_stride, head_stride, scale,
    LENGTH: tl.constexpr, NUM_HEADS: tl.constexpr, NUM_KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_E: tl.constexpr, NUM_PARTS: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """Attention (M, H·E) of each row to the positions up to its own.

    A program handles BLOCK_P positions for one head of one row. If there are several parts, `join`
    adds them up: parts (M, H, NUM_PARTS, E), peaks (M, H, NUM_PARTS, 2) in fp32.
    """
    m, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    p, e = part * BLOCK_P + tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_E)
    _begin(EARLY)
    seen = p <= tl.load(positions + m * position_stride)
    asked = tl.load(query + (m * NUM_HEADS + head) * HEAD_DIM + e, e < HEAD_DIM, 0).to(tl.float32)
    place = (m // LENGTH) * slot_stride + (head // (NUM_HEADS // NUM_KV_HEADS)) * head_stride
    place = place + p[:, None] * HEAD_DIM + e[None, :]
    inside = seen[:, None] & (e[None, :] < HEAD_DIM)
    key = tl.load(keys + place, inside, 0).to(tl.float32)
    value = tl.load(values + place, inside, 0).to(tl.float32)
    scores = tl.where(seen, tl.sum(key * asked[None, :], axis=1) * scale, float("-inf"))
    peak = tl.maximum(tl.max(scores), -1e30)  # a part may see nothing
    weight = tl.exp(scores - peak)
    total = tl.sum(weight)
    found = tl.sum(weight[:, None] * value, axis=0)
    if NUM_PARTS == 1:
        tl.store(out + (m * NUM_HEADS + head) * HEAD_DIM + e, found / total, e < HEAD_DIM)
    else:
        index = (m * NUM_HEADS + head) * NUM_PARTS + part
        tl.store(parts + index * HEAD_DIM + e, found, e < HEAD_DIM)
        tl.store(peaks + 2 * index, peak)
        tl.store(peaks + 2 * index + 1, total)


@triton.jit
def join(
    parts, peaks, out,
    HEAD_DIM: tl.constexpr, BLOCK_E: tl.constexpr, NUM_PARTS: tl.constexpr, BLOCK_S: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """Attention of one head of one row from the parts that `attend` computed."""
    index, s, e = tl.program_id(0), tl.arange(0, BLOCK_S), tl.arange(0, BLOCK_E)
    _begin(EARLY)
    place = index * NUM_PARTS + s
    peak = tl.load(peaks + 2 * place, s < NUM_PARTS, -1e30)
    weight = tl.exp(peak - tl.max(peak))
    total = tl.sum(weight * tl.load(peaks + 2 * place + 1, s < NUM_PARTS, 0))
    inside = (s[:, None] < NUM_PARTS) & (e[None, :] < HEAD_DIM)
    part = tl.load(parts + place[:, None] * HEAD_DIM + e[None, :], inside, 0)
    found = tl.sum(weight[:, None] * part, axis=0) / total
    tl.store(out + index * HEAD_DIM + e, found, e < HEAD_DIM)


@triton.jit
def attend_add_product(
    query, keys, values, positions, weights, scales, x,
    position_stride, slot_stride, head_stride, scale,
    NUM_ROWS: tl.constexpr, LENGTH: tl.constexpr, NUM_OUT: tl.constexpr, NUM_HEADS: tl.constexpr,
    NUM_KV_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, HAS_SCALES: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_E: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """`attend` to at most BLOCK_P positions and `add_product` of its result, in one kernel.

    Each program computes the attention of all heads: where positions are few, that takes less time
    than another kernel.
    """
    WIDTH: tl.constexpr = NUM_HEADS * HEAD_DIM
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    h, p, e = tl.arange(0, BLOCK_H), tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_E)
    feature = h[:, None] * HEAD_DIM + e[None, :]
    exists = (h[:, None] < NUM_HEADS) & (e[None, :] < HEAD_DIM)
    read = tl.load(weights + n[:, None, None] * WIDTH + feature[None, :, :], exists[None, :, :], 0)
    output_scale = _scales(scales, n, HAS_SCALES)
    group = h // (NUM_HEADS // NUM_KV_HEADS)
    _begin(EARLY)
    for m in tl.static_range(NUM_ROWS):
        seen = p <= tl.load(positions + m * position_stride)
        asked = tl.load(query + m * WIDTH + feature, exists, 0).to(tl.float32)
        place = (m // LENGTH) * slot_stride + group[:, None, None] * head_stride
        place = place + p[None, :, None] * HEAD_DIM + e[None, None, :]
        inside = seen[None, :, None] & exists[:, None, :]
        key = tl.load(keys + place, inside, 0).to(tl.float32)
        scores = tl.sum(key * asked[:, None, :], axis=2) * scale
        scores = tl.where(seen[None, :], scores, float("-inf"))
        weight = tl.exp(scores - tl.max(scores, axis=1)[:, None])
        value = tl.load(values + place, inside, 0).to(tl.float32)
        found = tl.sum(weight[:, :, None] * value, axis=1) / tl.sum(weight, axis=1)[:, None]
        found = found.to(query.dtype.element_ty).to(tl.float32)  # as `attend` stores it
        product = tl.sum(tl.sum(read.to(tl.float32) * found[None, :, :], axis=2), axis=1)
        into = x + m * NUM_OUT + n
        tl.store(into, tl.load(into).to(tl.float32) + product * output_scale)


@triton.jit
def gate_up(
    x, norm, weights, scales, out, eps,
    NUM_ROWS: tl.constexpr, WIDTH: tl.constexpr, NUM_OUT: tl.constexpr, HAS_SCALES: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """silu(gate) · up (M, F) of normalised rows x (M, D); weights (2F, D), the gate's first."""
    n, k = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    gate_weights = _weights(weights, n, k, WIDTH)
    up_weights = _weights(weights, n + NUM_OUT, k, WIDTH)
    gate_scales = _scales(scales, n, HAS_SCALES)
    up_scales = _scales(scales, n + NUM_OUT, HAS_SCALES)
    gain = tl.load(norm + k, k < WIDTH, 0).to(tl.float32)
    _begin(EARLY)
    for m in tl.static_range(NUM_ROWS):
        row, scale = _normed(x + m * WIDTH, k, gain, WIDTH, eps)
        gate = _product(gate_weights, row) * gate_scales * scale
        up = _product(up_weights, row) * up_scales * scale
        tl.store(out + m * NUM_OUT + n, gate / (1 + tl.exp(-gate)) * up)


@triton.jit
def add_product(
    given, weights, scales, x,
    NUM_ROWS: tl.constexpr, WIDTH: tl.constexpr, NUM_OUT: tl.constexpr, HAS_SCALES: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """Add the product of given rows (M, D) and weights (N, D) to x (M, N)."""
    n, k = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    read = _weights(weights, n, k, WIDTH)
    scale = _scales(scales, n, HAS_SCALES)
    _begin(EARLY)
    for m in tl.static_range(NUM_ROWS):
        row = tl.load(given + m * WIDTH + k, k < WIDTH, 0).to(tl.float32)
        into = x + m * NUM_OUT + n
        tl.store(into, tl.load(into).to(tl.float32) + _product(read, row) * scale)


@triton.jit
def head(
    x, norm, weights, scales, logits, row_stride, eps,
    NUM_ROWS: tl.constexpr, WIDTH: tl.constexpr, NUM_OUT: tl.constexpr, HAS_SCALES: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """Logits (M, N) of normalised rows x, which are row_stride numbers apart."""
    n, k = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    read = _weights(weights, n, k, WIDTH)
    scale = _scales(scales, n, HAS_SCALES)
    gain = tl.load(norm + k, k < WIDTH, 0).to(tl.float32)
    _begin(EARLY)
    for m in tl.static_range(NUM_ROWS):
        row, inverse_rms = _normed(x + m * row_stride, k, gain, WIDTH, eps)
        found = _product(read, row) * scale * inverse_rms
        tl.store(logits + m * NUM_OUT + n, found)


@triton.jit
def _mix(x):
    """`causerie.nn.hashing.mix` of uint64 numbers, whose shifts are logical."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@triton.jit
def noise(
    seeds, frames, out, seeds_stride, frames_stride,
    NUM_CODEBOOKS: tl.constexpr, NUM_CODES: tl.constexpr, BLOCK_V: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """Noise (M, K, NUM_CODES) as of `causerie.model.sampling.gumbel_noise`.

    Args:
        seeds, frames: (M,), int64.
    """
    STEP: tl.constexpr = 0x9E3779B97F4A7C15
    m, codebook, v = tl.program_id(0), tl.program_id(1), tl.arange(0, BLOCK_V)
    _begin(EARLY)
    seed = tl.load(seeds + m * seeds_stride).to(tl.uint64)
    frame = tl.load(frames + m * frames_stride).to(tl.uint64)
    counter = (codebook.to(tl.uint64) << 32) + v.to(tl.uint64)
    bits = _mix(_mix(_mix(seed * STEP) + frame * STEP) + counter * STEP)
    uniform = ((bits >> 41).to(tl.float32) + 0.5) * 2.0**-23
    into = out + (m * NUM_CODEBOOKS + codebook) * NUM_CODES + v
    tl.store(into, -tl.log(-tl.log(uniform)), v < NUM_CODES)


@triton.jit
def _draw(
    given, temperature, bias, drawn, top_k, v,
    NUM_CODES: tl.constexpr, BITS: tl.constexpr, IS_FIRST: tl.constexpr, HAS_TOP_K: tl.constexpr,
):  # fmt: skip
    """A code, as `causerie.model.sampling.sample_rows` draws it, and whether all logits are finite.

    Args:
        given: logits in fp32; they differ in the first BITS bits, 16 for bf16.
        temperature, bias, top_k: numbers; the bias is added to code 0 of codebook 0.
        drawn: noise.
        v: 0, 1, …
        IS_FIRST: whether this is codebook 0.
    """
    is_greedy = temperature == 0
    divisor = tl.where(is_greedy, 1.0, temperature)
    scaled = given / divisor
    biased = scaled
    if IS_FIRST:
        biased = scaled + tl.where(v == 0, bias / divisor, 0.0)
    value = biased + drawn
    if HAS_TOP_K:
        # The k-th largest, bit by bit, of integers in the order of the logits.
        bits = given.to(tl.int32, bitcast=True)
        order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) >> (32 - BITS)
        reached = tl.sum((order >= 0).to(tl.int32)) >= top_k
        least = tl.where(reached, 0, -(2 ** (BITS - 1)))
        for bit in tl.static_range(BITS - 2, -1, -1):
            tried = least + (1 << bit)
            least = tl.where(tl.sum((order >= tried).to(tl.int32)) >= top_k, tried, least)
        low = least << (32 - BITS)
        kth = (low ^ ((low >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)
        leaves_out = (top_k > 0) & (top_k < NUM_CODES)
        value = tl.where(leaves_out & (biased < kth / divisor), float("-inf"), value)
    value = tl.where(is_greedy, biased, value)
    is_number = value == value  # NaN still draws some code; `finite` reports it
    code = tl.argmax(tl.where(is_number & (v < NUM_CODES), value, float("-inf")), axis=0)
    finite = tl.sum((tl.abs(given) < float("inf")).to(tl.int32)) == NUM_CODES
    return code, finite


@triton.jit
def _keep(
    code, finite, codes, table, x, codebook, codes_stride, WIDTH: tl.constexpr,
    BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Store a code of a row, and the code's embedding: see `sample`."""
    d = tl.arange(0, BLOCK_D)
    tl.store(codes + codebook, code)
    tl.store(codes + codes_stride - 2, finite.to(tl.int64))
    next_row = tl.load(table + code.to(tl.int64) * WIDTH + d, d < WIDTH, 0)
    tl.store(x + d, next_row, d < WIDTH)


@triton.jit(do_not_specialize=["codebook"])
def sample(
    logits, temperatures, top_k, stop_biases, noise, table, codes, x,
    temperatures_stride, top_k_stride, biases_stride, noise_stride, x_stride, codebook,
    codes_stride,
    NUM_CODES: tl.constexpr, BLOCK_V: tl.constexpr, WIDTH: tl.constexpr, BLOCK_D: tl.constexpr,
    BITS: tl.constexpr, IS_FIRST: tl.constexpr, HAS_TOP_K: tl.constexpr, EARLY: tl.constexpr,
):  # fmt: skip
    """A code of each row by `_draw`, and its embedding.

    Args:
        logits: (M, NUM_CODES).
        temperatures: (M, 2), of codebook 0 and of the others; top_k likewise.
        stop_biases: (M,), added to code 0 of codebook 0.
        noise: (M, …), of this codebook.
        table: (V, WIDTH), the input of the next pass for each code.
        codes: (M, K + 2); the column before the last is 1 if all logits are finite, and the last is
            the bits of the stop's log-probability, by codebook 0.
        x: output for the embedding.
    """
    m, v = tl.program_id(0), tl.arange(0, BLOCK_V)
    kind: tl.constexpr = 0 if IS_FIRST else 1
    temperature = tl.load(temperatures + m * temperatures_stride + kind)
    bias = tl.load(stop_biases + m * biases_stride)
    most = tl.load(top_k + m * top_k_stride + kind).to(tl.int32)
    _begin(EARLY)
    # After the wait: kernels before the previous one may still run, that of the noise among them.
    drawn = tl.load(noise + m * noise_stride + v, v < NUM_CODES, 0)
    given = tl.load(logits + m * NUM_CODES + v, v < NUM_CODES, float("-inf")).to(tl.float32)
    code, finite = _draw(
        given, temperature, bias, drawn, most, v, NUM_CODES, BITS, IS_FIRST, HAS_TOP_K
    )
    into = codes + m * codes_stride
    _keep(code, finite, into, table, x + m * x_stride, codebook, codes_stride, WIDTH, BLOCK_D)
    if IS_FIRST:
        peak = tl.max(given)
        total = tl.sum(tl.exp(given - peak))
        stop = tl.sum(tl.where(v == 0, given, 0.0)) - peak - tl.log(total)
        tl.store(into + codes_stride - 1, stop.to(tl.int32, bitcast=True).to(tl.int64))


@triton.jit(do_not_specialize=["codebook"])
def head_sample(
    given, norm, weights, scales, logits, counter,
    temperatures, top_k, noise, table, codes, x, codebook, codes_stride, eps,
    WIDTH: tl.constexpr, NUM_OUT: tl.constexpr, HAS_SCALES: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr, BITS: tl.constexpr, HAS_TOP_K: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """`head` of one given row and `sample` of its logits: the last program to end draws.

    Args:
        counter: (1,), int32, of programs that have ended: 0 before and after.
    """
    n, k = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    read = _weights(weights, n, k, WIDTH)
    scale = _scales(scales, n, HAS_SCALES)
    gain = tl.load(norm + k, k < WIDTH, 0).to(tl.float32)
    _begin(EARLY)
    row, inverse_rms = _normed(given, k, gain, WIDTH, eps)
    tl.store(logits + n, _product(read, row) * scale * inverse_rms)
    tl.debug_barrier()  # all threads have stored before one of them counts
    if tl.atomic_add(counter, 1) == NUM_OUT // BLOCK_N - 1:
        v = tl.arange(0, BLOCK_V)
        found = tl.load(logits + v, v < NUM_OUT, float("-inf"), cache_modifier=".cg")
        code, finite = _draw(
            found.to(tl.float32), tl.load(temperatures + 1), 0.0,
            tl.load(noise + v, v < NUM_OUT, 0), tl.load(top_k + 1).to(tl.int32), v,
            NUM_OUT, BITS, False, HAS_TOP_K,
        )  # fmt: skip
        _keep(code, finite, codes, table, x, codebook, codes_stride, WIDTH, BLOCK_K)
        tl.store(counter, 0)
