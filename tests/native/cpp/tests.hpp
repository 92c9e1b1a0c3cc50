#pragma once

void test_simd();
void test_fft();
void test_products();
void test_attention();
void test_sampling();
