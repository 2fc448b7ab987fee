// What an error says.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace triga::test {

/// The message of what `f` throws, which must be an E; "" and a failure if it is not.
template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw something else: " << error.what();
    return "";
  }
  ADD_FAILURE() << "threw nothing";
  return "";
}

}  // namespace triga::test
