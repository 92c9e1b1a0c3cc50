// Memory for weights and activations: aligned, and in 2 MiB pages where the system has them.
// Knows nothing about its content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace causerie {

// Zeroed memory, aligned to 64 bytes. Small pieces share large pages, so that a model of any size is
// read at the speed of large pages.
void* allocate(size_t bytes);
void release(void* memory);

// An array that grows and never shrinks. Growing zeroes the array and loses its content.
template <class T>
class Buffer {
   public:
    Buffer() = default;
    explicit Buffer(size_t size) { reserve(size); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer() { release(data_); }

    T* reserve(size_t size) {
        if (size > size_) {
            release(data_);
            data_ = static_cast<T*>(allocate(size * sizeof(T)));
            size_ = size;
        }
        return data_;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    T& operator[](size_t index) { return data_[index]; }
    const T& operator[](size_t index) const { return data_[index]; }

   private:
    T* data_ = nullptr;
    size_t size_ = 0;
};

constexpr int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace causerie
