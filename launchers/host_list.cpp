#include "launchers/host_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int kMostSlots = 100000;
constexpr const char* kAllowed =
    "HOST, or HOST:N for N ranks on it, by name or IPv4 address: --hosts a:2,b:2";

std::optional<int> slots_from(std::string_view text) {
  int slots = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slots);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  return is_number && slots >= 1 && slots <= kMostSlots ? std::optional(slots) : std::nullopt;
}

/// What mpirun takes for a name; ',' and '@' mean something to it.
bool is_name(const std::string& text) {
  return !text.empty() && text[0] != '-' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
         });
}

Host parse_host(const std::string& word, const std::string& where) {
  const size_t colon = word.find(':');
  Host host{word.substr(0, colon), 0};
  const std::optional<int> slots =
      colon == std::string::npos ? 0 : slots_from(std::string_view(word).substr(colon + 1));
  if (!is_name(host.name) || !slots)
    throw ConfigError(fmt::format("{}: '{:.80}' is not a host: {}", where, word, kAllowed));
  host.slots = *slots;
  return host;
}

void check(const std::vector<Host>& hosts, const std::string& where) {
  std::set<std::string> names;
  for (const Host& host : hosts) {
    if (!names.insert(host.name).second)
      throw ConfigError(fmt::format("{}: host {} is named twice; for several ranks: {}:2", where,
                                    host.name, host.name));
    if ((host.slots > 0) != (hosts.front().slots > 0))
      throw ConfigError(fmt::format(
          "{}: a number of ranks is said for some hosts and not for {}; say it for all or for none",
          where, host.slots > 0 ? hosts.front().name : host.name));
  }
}

}  // namespace

std::vector<std::string> names_of(const std::vector<Host>& hosts) {
  std::vector<std::string> names;
  for (const Host& host : hosts) names.push_back(host.name);
  return names;
}

std::vector<Host> parse_hosts(const std::vector<std::string>& words) {
  std::vector<Host> hosts;
  for (const std::string& word : words) hosts.push_back(parse_host(word, "--hosts"));
  check(hosts, "--hosts");
  return hosts;
}

std::vector<Host> read_host_file(FileSystem& files, const Path& path) {
  std::string text;
  try {
    text = read_text(files, path);
  } catch (const FileError& error) {
    throw ConfigError(fmt::format("--hostfile: {}", error.what()));
  }
  std::vector<Host> hosts;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = fmt::format("{}:{}", path.string(), ++number);
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    if (!(words >> word)) continue;
    Host host = parse_host(word, where);
    while (words >> word) {
      const bool is_slots = word.starts_with("slots=");
      const auto slots = is_slots ? slots_from(std::string_view(word).substr(6)) : std::nullopt;
      if (!slots || host.slots > 0)
        throw ConfigError(
            fmt::format("{}: '{:.80}'; a line is HOST, HOST slots=N or HOST:N", where, word));
      host.slots = *slots;
    }
    hosts.push_back(host);
  }
  if (hosts.empty()) throw ConfigError(fmt::format("--hostfile: {} names no host", path.string()));
  check(hosts, path.string());
  return hosts;
}

}  // namespace triga
