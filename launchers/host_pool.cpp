#include "launchers/host_pool.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <memory>
#include <string_view>
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

/// Before its name in what a host answers: Open MPI and shells may say more.
constexpr std::string_view kNameFollows = "triga-host=";

std::string name_in(const std::string& answer) {
  const size_t mark = answer.find(kNameFollows);
  if (mark == std::string::npos) return "";
  const std::string rest = answer.substr(mark + kNameFollows.size());
  return rest.substr(0, rest.find_first_of(" \t\r\n"));
}

/// A program that is asked, or nothing when it could not be started.
std::unique_ptr<ChildProcess> start(const std::vector<std::string>& line) {
  try {
    return std::make_unique<ChildProcess>(line, ChildProcess::Streams::kPipe);
  } catch (const Error&) {
    return nullptr;
  }
}

/// Of a program that has ended, or is not waited for any longer.
std::optional<std::string> answer_of(ChildProcess& child) {
  const auto status = child.wait_status();
  if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0) return std::nullopt;
  return name_in(child.wait(std::chrono::steady_clock::now()).output);
}

}  // namespace

HostPool::HostPool(std::vector<Host> hosts, Ask ask, std::ostream& out)
    : hosts_(std::move(hosts)), ask_(std::move(ask)), out_(out) {}

bool HostPool::ended_on(const std::string& host) {
  if (host.empty()) return false;
  ends_.push_back(host);
  const Host* meant = find(host);
  return meant != nullptr && num_ends(*meant) >= kMostEnds;
}

std::vector<Host> HostPool::usable() {
  std::vector<Host> candidates;
  for (const Host& host : hosts_) {
    const int ends = num_ends(host);
    if (ends < kMostEnds)
      candidates.push_back(host);
    else
      out_ << fmt::format("triga: host {} is left out: the run ended on it {} times\n", host.name,
                          ends);
  }
  const auto answers = ask(candidates);
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

std::vector<std::string> HostPool::silent(const std::vector<Host>& hosts) {
  const auto answers = ask(hosts);
  std::vector<std::string> silent;
  for (size_t i = 0; i < hosts.size(); ++i)
    if (!answers[i]) silent.push_back(hosts[i].name);
  return silent;
}

std::vector<std::optional<std::string>> HostPool::ask(const std::vector<Host>& hosts) {
  const std::vector<std::string> names = names_of(hosts);
  auto answers = ask_(names);
  for (size_t i = 0; i < names.size(); ++i)
    if (answers[i] && !answers[i]->empty()) own_names_[names[i]] = *answers[i];
  return answers;
}

const Host* HostPool::find(const std::string& name) const {
  const auto own_name = [this](const Host& host) {
    const auto own = own_names_.find(host.name);
    return own == own_names_.end() ? std::string() : own->second;
  };
  const std::string short_form = short_name(name);
  const std::function<bool(const Host&)> ways[] = {
      [&](const Host& host) { return host.name == name; },
      [&](const Host& host) { return own_name(host) == name; },
      [&](const Host& host) {
        return short_name(host.name) == short_form || short_name(own_name(host)) == short_form;
      }};
  for (const auto& is_meant : ways) {
    const auto first = std::find_if(hosts_.begin(), hosts_.end(), is_meant);
    if (first == hosts_.end()) continue;
    return std::any_of(first + 1, hosts_.end(), is_meant) ? nullptr : &*first;
  }
  return nullptr;
}

/// Counted anew each time: what an earlier start ended on may be known only now.
int HostPool::num_ends(const Host& host) const {
  return static_cast<int>(std::count_if(ends_.begin(), ends_.end(), [&](const std::string& end) {
    return find(end) == find(host.name);
  }));
}

std::vector<std::optional<std::string>> ask_hosts(const std::vector<std::string>& hosts,
                                                  const std::vector<std::string>& command,
                                                  const std::function<bool()>& is_cancelled,
                                                  std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<ChildProcess>> asked;
  const std::string question = fmt::format("echo {}$(uname -n)", kNameFollows);
  for (const std::string& host : hosts) {
    std::vector<std::string> line = command;
    line.insert(line.end(), {"--host", host, "-n", "1", "sh", "-c", question});
    asked.push_back(start(line));
  }
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto is_silent = [](const auto& child) { return child && !child->wait_status(); };
  while (std::any_of(asked.begin(), asked.end(), is_silent) &&
         std::chrono::steady_clock::now() < deadline && !is_cancelled())
    std::this_thread::sleep_for(kLookEvery);
  std::vector<std::optional<std::string>> answers;
  for (const auto& child : asked) {
    answers.push_back(child ? answer_of(*child) : std::nullopt);
    // An ssh to a host that does not answer has a group of its own.
    if (is_silent(child)) kill_all(living_children(child->pid()));
  }
  return answers;
}

}  // namespace triga
