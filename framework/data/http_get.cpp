#include "data/http_get.h"

#include <curl/curl.h>

#include <exception>
#include <filesystem>
#include <memory>

#include "triga/error.h"

namespace triga {
namespace {

using Outcome = HttpResult::Outcome;

struct FreeCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;

struct Transfer {
  const HttpRequest& request;
  CURL* curl;
  std::exception_ptr error;
};

/// libcurl is C: an exception waits in the transfer until it has returned.
size_t receive(char* data, size_t /*always 1*/, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    transfer.request.on_data({data, size});
    return size;
  } catch (...) {
    transfer.error = std::current_exception();
    return 0;
  }
}

template <class T>
void set(const Curl& curl, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(curl.get(), option, value);
  TRIGA_CHECK(code == CURLE_OK, "libcurl option ", static_cast<int>(option), ": ",
              curl_easy_strerror(code));
}

/// Where systems other than the one that libcurl was built for keep the certificates that they
/// trust.
void set_certificates(const Curl& curl) {
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
    if (std::filesystem::exists(file)) return set(curl, CURLOPT_CAINFO, file);
}

HttpResult explain_status(long status) {
  const auto text = c10::str("the server answers with HTTP status ", status);
  if (status == 408 || status == 429 || status >= 500) return {Outcome::kTryAgain, text};
  if (status == 404 || status == 410)
    return {Outcome::kFailed, text + ": there is no such file (any more)"};
  return {Outcome::kFailed, text};
}

HttpResult explain(CURLcode code, const char* detail) {
  const std::string text = *detail != '\0' ? detail : curl_easy_strerror(code);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Outcome::kFailed, text +
                                    ". Is this machine offline? On a cluster, fetch on a login "
                                    "node, or set TRIGA_DATA_MIRROR to a "
                                    "folder that holds the files"};
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
      return {Outcome::kTryAgain, text};
    default:
      return {Outcome::kFailed, text};
  }
}

}  // namespace

HttpResult http_get(const HttpRequest& request) {
  const Curl curl(curl_easy_init());
  TRIGA_CHECK(curl, "libcurl does not start");
  char detail[CURL_ERROR_SIZE] = "";
  Transfer transfer{request, curl.get(), nullptr};
  set(curl, CURLOPT_URL, request.url.c_str());
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_FOLLOWLOCATION, 1L);
  set(curl, CURLOPT_MAXREDIRS, 10L);
  set(curl, CURLOPT_FAILONERROR, 1L);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_USERAGENT, "triga");
  set(curl, CURLOPT_ERRORBUFFER, static_cast<char*>(detail));
  set(curl, CURLOPT_CONNECTTIMEOUT, 20L);
  set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_seconds));
  set(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(request.offset));
  set(curl, CURLOPT_WRITEFUNCTION, &receive);
  set(curl, CURLOPT_WRITEDATA, &transfer);
  set_certificates(curl);

  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.error) std::rethrow_exception(transfer.error);
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_RANGE_ERROR || status == 416) return {Outcome::kNoRange, ""};
  if (code == CURLE_HTTP_RETURNED_ERROR) return explain_status(status);
  if (code != CURLE_OK) return explain(code, detail);
  return {};
}

}  // namespace triga
