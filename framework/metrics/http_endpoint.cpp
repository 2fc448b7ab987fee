#include "metrics/http_endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "triga/error.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxRequestBytes = 8192;
/// A client that says nothing, or takes nothing, or little at a time, may hold others up so long
/// with its request, and so long again with its answer.
constexpr auto kPatience = std::chrono::milliseconds(400);

/// False: nothing can be received (POLLIN) or sent (POLLOUT) before the deadline.
bool wait_for(int connection, short event, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{connection, event, 0};
    const int found = poll(&waiting, 1, static_cast<int>(left.count()));
    if (found > 0) return true;  // or it failed, as the next call will say
    if (found < 0 && errno != EINTR) return false;
  }
}

/// Up to the empty line that ends the header of a request; "" if it does not come.
std::string read_request(int connection) {
  const auto deadline = Clock::now() + kPatience;
  std::string request;
  char piece[1024];
  while (request.size() < kMaxRequestBytes && wait_for(connection, POLLIN, deadline)) {
    const ssize_t count = recv(connection, piece, sizeof piece, MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return "";
    request.append(piece, static_cast<size_t>(count));
    if (request.find("\r\n\r\n") != std::string::npos) return request;
  }
  return "";
}

void send_all(int connection, std::string_view bytes) {
  const auto deadline = Clock::now() + kPatience;
  while (!bytes.empty() && wait_for(connection, POLLOUT, deadline)) {
    const ssize_t count = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

HttpEndpoint::HttpEndpoint(int port, std::string content_type, std::function<std::string()> content)
    : content_type_(std::move(content_type)), content_(std::move(content)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;  // connections of an earlier run may still be winding down
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  address.sin_port = htons(static_cast<uint16_t>(port));
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool is_open = listener_ >= 0 &&
                       setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                       bind(listener_, any, size) == 0 && listen(listener_, 8) == 0 &&
                       getsockname(listener_, any, &size) == 0;
  if (!is_open) {
    const int code = errno;
    if (listener_ >= 0) close(listener_);
    throw Error(c10::str("cannot serve on port ", port, ": ", std::strerror(code)));
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HttpEndpoint::~HttpEndpoint() {
  shutdown(listener_, SHUT_RDWR);  // accept returns
  thread_.join();
  close(listener_);
}

void HttpEndpoint::serve() {
  for (;;) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) {
      answer(connection);
      close(connection);
    } else if (errno == EINVAL || errno == EBADF) {  // it was shut down
      return;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until there is room again
    }
  }
}

void HttpEndpoint::answer(int connection) const {
  const std::string request = read_request(connection);
  if (request.empty()) return;
  const std::string_view line(request.data(), request.find("\r\n"));
  const bool is_known = line.starts_with("GET /metrics ") || line.starts_with("GET /metrics?");
  const std::string body = is_known ? content_() : "There is only GET /metrics.\n";
  send_all(connection,
           fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
                       "Connection: close\r\n\r\n{}",
                       is_known ? "200 OK" : "404 Not Found",
                       is_known ? content_type_ : "text/plain; charset=utf-8", body.size(), body));
}

}  // namespace triga
