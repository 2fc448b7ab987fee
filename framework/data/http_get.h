// http_get: one GET over HTTP or HTTPS, through libcurl. Says what a failure means and whether
// trying again can help; it tries nothing again itself (download.h does).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace triga {

struct HttpRequest {
  std::string url;
  int64_t offset = 0;                             // the first byte wanted
  double stall_seconds = 30;                      // gives up when nothing arrives for so long
  std::function<void(std::string_view)> on_data;  // in order; what it throws ends the transfer
};

struct HttpResult {
  enum class Outcome {
    kDone,
    kNoRange,  // the server does not give the part from `offset` on
    kTryAgain,
    kFailed,
  };
  Outcome outcome = Outcome::kDone;
  std::string message;  // of kTryAgain and kFailed: what happened, and what can be done
};

/// Follows redirects. Throws: what on_data throws.
HttpResult http_get(const HttpRequest& request);

}  // namespace triga
