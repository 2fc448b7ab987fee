#include "launchers/places.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <numeric>

#include "triga/error.h"

namespace triga {
namespace {

bool say_slots(const std::vector<Host>& hosts) {
  return !hosts.empty() && hosts.front().slots > 0;
}

int slots_of(const std::vector<Host>& hosts) {
  return std::accumulate(hosts.begin(), hosts.end(), 0,
                         [](int sum, const Host& host) { return sum + host.slots; });
}

/// The first hosts whose slots are enough for `num_ranks`.
int num_hosts_for(int num_ranks, const std::vector<Host>& hosts) {
  int num_hosts = 0;
  for (int slots = 0; slots < num_ranks && num_hosts < static_cast<int>(hosts.size()); ++num_hosts)
    slots += hosts[static_cast<size_t>(num_hosts)].slots;
  return std::max(1, num_hosts);
}

int num_hosts_of(const PlacesRequest& request, const Places& places, const LaunchConfig& config) {
  if (request.num_hosts) return *request.num_hosts;
  if (request.num_ranks && say_slots(places.hosts))
    return num_hosts_for(*request.num_ranks, places.hosts);
  const bool is_known = !places.hosts.empty() || places.allocation;
  if (!is_known) return request.num_ranks ? 1 : static_cast<int>(config.nodes);
  const int num_known =
      places.hosts.empty() ? places.allocation->num_hosts : static_cast<int>(places.hosts.size());
  return request.num_ranks ? std::clamp(*request.num_ranks, 1, num_known) : num_known;
}

void check(const PlacesRequest& request, const Places& places) {
  if (places.num_ranks < 1)
    throw ConfigError(c10::str("-n: ", places.num_ranks, " ranks; at least 1"));
  if (!places.hosts.empty() && places.num_hosts > static_cast<int>(request.hosts.size()))
    throw ConfigError(c10::str("-N: ", places.num_hosts, " hosts, but only ", request.hosts.size(),
                               " are named"));
  if (say_slots(places.hosts) && places.num_ranks > slots_of(places.hosts))
    throw ConfigError(c10::str("-n: ", places.num_ranks, " ranks, but the ", places.num_hosts,
                               " hosts have places for ", slots_of(places.hosts)));
  if (say_slots(places.hosts) && places.num_hosts > num_hosts_for(places.num_ranks, places.hosts))
    throw ConfigError(c10::str(
        "-N: ", places.num_hosts, " hosts, but -n ", places.num_ranks, " have places on the first ",
        num_hosts_for(places.num_ranks, places.hosts), " of them; say fewer ranks a host"));
  if (places.num_ranks < places.num_hosts)
    throw ConfigError(c10::str("-N: ", places.num_hosts, " hosts for -n ", places.num_ranks,
                               "; at least one rank a host"));
  if (places.allocation && places.num_hosts > places.allocation->num_hosts)
    throw ConfigError(
        c10::str("-N: ", places.num_hosts, " hosts, but this is ", describe(*places.allocation)));
  if (places.num_hosts > 1 && places.hosts.empty() && !places.allocation)
    throw ConfigError(c10::str(
        request.num_hosts ? "-N: " : "launch.nodes: ", places.num_hosts,
        " hosts, and it is not known which: name them (--hosts a,b), run this in a job of a "
        "scheduler, or give it to Slurm (triga submit). On this host alone: -N 1"));
}

}  // namespace

std::vector<std::string> Places::mpirun_arguments() const {
  std::vector<std::string> line;
  std::string names;
  for (const Host& host : hosts)
    names += c10::str(names.empty() ? "" : ",", host.name, ":",
                      host.slots > 0 ? host.slots : ranks_per_host());
  if (!names.empty()) line = {"--host", names};
  if (allocation && !allocation->host_file.empty())
    line.insert(line.end(), {"--hostfile", allocation->host_file});
  if (say_slots(hosts))  // each host is filled before the next
    line.insert(line.end(), {"--map-by", "slot"});
  else if (num_hosts > 1)
    line.insert(line.end(), {"--map-by", c10::str("ppr:", ranks_per_host(), ":node")});
  return line;
}

Places choose_places(const PlacesRequest& request, const std::optional<Allocation>& allocation,
                     const LaunchConfig& config) {
  Places places;
  places.hosts = request.hosts;
  if (places.hosts.empty()) places.allocation = allocation;
  places.num_hosts = num_hosts_of(request, places, config);
  if (!places.hosts.empty())
    places.hosts.resize(std::min(places.hosts.size(), static_cast<size_t>(places.num_hosts)));
  places.num_ranks = request.num_ranks.value_or(
      say_slots(places.hosts) ? slots_of(places.hosts)
                              : places.num_hosts * static_cast<int>(config.ranks_per_node));
  check(request, places);
  return places;
}

Places places_on(const std::vector<Host>& hosts, const Places& before) {
  Places places = before;
  const int num_usable = static_cast<int>(hosts.size());
  // Hosts with fewer places may take the room of one with many.
  places.num_hosts = std::min(
      num_usable, say_slots(hosts) ? num_hosts_for(before.num_ranks, hosts) : before.num_hosts);
  places.hosts.assign(hosts.begin(), hosts.begin() + places.num_hosts);
  places.num_ranks = std::min(before.num_ranks, say_slots(places.hosts)
                                                    ? slots_of(places.hosts)
                                                    : places.num_hosts * before.ranks_per_host());
  return places;
}

}  // namespace triga
