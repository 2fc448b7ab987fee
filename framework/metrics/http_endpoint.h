// HttpEndpoint: one page by HTTP, for programs that ask again and again: GET /metrics. Nothing more
// of HTTP than that needs.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace triga {

class HttpEndpoint {
 public:
  /// Answers on all addresses of this host, in a thread of its own, which calls `content` for every
  /// request. `port` 0: one that is free. Throws: Error when the port cannot be had.
  HttpEndpoint(int port, std::string content_type, std::function<std::string()> content);
  /// Ends within a second, whatever a client does.
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  int port() const { return port_; }

 private:
  void serve();
  void answer(int connection) const;

  const std::string content_type_;
  const std::function<std::string()> content_;
  int listener_ = -1, port_ = 0;
  std::thread thread_;
};

}  // namespace triga
