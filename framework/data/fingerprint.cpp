#include "data/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace triga {

void Fingerprint::Free::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

Fingerprint::Fingerprint() : state_(XXH3_createState()) {
  XXH3_128bits_reset(state_.get());
}

void Fingerprint::add(std::string_view bytes) {
  add(static_cast<int64_t>(bytes.size()));
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

void Fingerprint::add(int64_t number) {
  XXH3_128bits_update(state_.get(), &number, sizeof number);
}

std::string Fingerprint::text() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace triga
