#include "launchers/host_pool.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "base/child_process.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);

bool is_address(const std::string& host) {
  return host.find_first_not_of("0123456789.") == std::string::npos;
}

/// Names without their domain; addresses as they are.
std::string short_name(const std::string& host) {
  return is_address(host) ? host : host.substr(0, host.find('.'));
}

/// A program that is asked, or nothing when it could not be started.
std::unique_ptr<ChildProcess> start(const std::vector<std::string>& line) {
  try {
    return std::make_unique<ChildProcess>(line, ChildProcess::Streams::kNone);
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace

HostPool::HostPool(std::vector<Host> hosts,
                   std::function<std::vector<bool>(const std::vector<std::string>&)> answers,
                   std::ostream& out)
    : hosts_(std::move(hosts)), answers_(std::move(answers)), out_(out) {}

bool HostPool::ended_on(const std::string& host) {
  if (host.empty()) return false;
  const std::string name = short_name(host);
  const int ends = ++num_ends_[name];
  return ends >= kMostEnds && std::any_of(hosts_.begin(), hosts_.end(), [&](const Host& one) {
           return short_name(one.name) == name;
         });
}

std::vector<Host> HostPool::usable() {
  std::vector<Host> candidates;
  for (const Host& host : hosts_) {
    const auto ends = num_ends_.find(short_name(host.name));
    if (ends == num_ends_.end() || ends->second < kMostEnds)
      candidates.push_back(host);
    else
      out_ << fmt::format("triga: host {} is left out: the run ended on it {} times\n", host.name,
                          ends->second);
  }
  const std::vector<bool> answers = answers_(names_of(candidates));
  std::vector<Host> usable;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (answers[i])
      usable.push_back(candidates[i]);
    else
      out_ << fmt::format("triga: host {} is left out: it does not answer\n", candidates[i].name);
  }
  out_ << std::flush;
  return usable;
}

std::vector<bool> can_start_on(const std::vector<std::string>& hosts,
                               const std::vector<std::string>& command,
                               const std::function<bool()>& is_cancelled,
                               std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<ChildProcess>> asked;
  for (const std::string& host : hosts) {
    std::vector<std::string> line = command;
    line.insert(line.end(), {"--host", host, "-n", "1", "true"});
    asked.push_back(start(line));
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto is_silent = [](const auto& child) { return child && !child->wait_status(); };
  while (std::any_of(asked.begin(), asked.end(), is_silent) &&
         std::chrono::steady_clock::now() < deadline && !is_cancelled())
    std::this_thread::sleep_for(kLookEvery);
  std::vector<bool> answers;
  for (const auto& child : asked) {
    const auto status = child ? child->wait_status() : std::nullopt;
    answers.push_back(status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0);
    // An ssh to a host that does not answer has a group of its own.
    if (is_silent(child)) kill_all(living_children(child->pid()));
  }
  return answers;
}

}  // namespace triga
