// TRIGA_VECTOR: in front of a function whose loops are to be vector code: it is compiled for several
// processors, and the fastest that this one has is taken.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TRIGA_VECTOR  // the choice is made before ThreadSanitizer is ready
#endif
#endif

#ifndef TRIGA_VECTOR
#define TRIGA_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
