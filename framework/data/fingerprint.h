// Fingerprint: a short text that changes when the bytes put into it do (XXH3, 128 bits; not against
// an attacker).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace triga {

class Fingerprint {
 public:
  Fingerprint();

  /// Adds the bytes and their number, so that pieces cannot run into each other.
  void add(std::string_view bytes);
  void add(int64_t number);

  /// 32 hexadecimal digits.
  std::string text() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace triga
