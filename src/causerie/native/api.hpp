// What a function needs to be called from Python through ctypes.
#pragma once

#define CAUSERIE_API extern "C" __attribute__((visibility("default")))
