// A web server on this machine that serves what a test gives it, and fails as the test wants.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "triga/error.h"

namespace triga::test {

struct HttpAnswer {
  int status = 200;
  std::string body;                      // the whole file, also when a part is asked for
  bool knows_ranges = true;              // false: gives the whole file whatever is asked for
  size_t cut_after = std::string::npos;  // closes the connection after so many bytes of the body
  std::string location;                  // of a redirect
};

class HttpServer {
 public:
  using Handler = std::function<HttpAnswer(const std::string& path)>;

  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    TRIGA_CHECK(bind(listener_, any, size) == 0 && listen(listener_, 8) == 0 &&
                    getsockname(listener_, any, &size) == 0,
                "no port on this machine");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string host() const { return c10::str("127.0.0.1:", port_); }
  std::string url(const std::string& path) const { return "http://" + host() + path; }

  /// First byte that each request so far asked for. Call it when no request is under way.
  const std::vector<size_t>& offsets() const { return offsets_; }

 private:
  void serve() {
    for (int peer; (peer = accept(listener_, nullptr, nullptr)) >= 0; close(peer)) {
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = recv(peer, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        request.append(buffer, static_cast<size_t>(n));
      }
      if (request.starts_with("GET ")) answer(peer, request);
    }
  }

  void answer(int peer, const std::string& request) {
    const std::string path = request.substr(4, request.find(' ', 4) - 4);
    const size_t range = request.find("Range: bytes=");
    const size_t offset =
        range == std::string::npos ? 0 : std::strtoull(request.c_str() + range + 13, nullptr, 10);
    offsets_.push_back(offset);
    const HttpAnswer answer = handler_(path);
    const bool is_part = answer.status == 200 && answer.knows_ranges && offset > 0;
    const bool is_beyond = is_part && offset >= answer.body.size();
    const int status = is_beyond ? 416 : is_part ? 206 : answer.status;
    const std::string body = is_beyond ? "" : answer.body.substr(is_part ? offset : 0);
    std::string head =
        c10::str("HTTP/1.1 ", status,
                 " Whatever\r\nConnection: close\r\nContent-Length: ", body.size(), "\r\n");
    if (status == 206)
      head += c10::str("Content-Range: bytes ", offset, "-", answer.body.size() - 1, "/",
                       answer.body.size(), "\r\n");
    if (!answer.location.empty()) head += "Location: " + answer.location + "\r\n";
    send_all(peer, head + "\r\n" + body.substr(0, answer.cut_after));
  }

  static void send_all(int peer, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  const Handler handler_;
  int listener_;
  int port_ = 0;
  std::vector<size_t> offsets_;
  std::thread thread_;
};

}  // namespace triga::test
