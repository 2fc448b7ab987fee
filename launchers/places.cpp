#include "launchers/places.h"

#include <c10/util/StringUtil.h>

#include <algorithm>

#include "triga/error.h"

namespace triga {
namespace {

int num_hosts_of(const PlacesRequest& request, const Places& places, const LaunchConfig& config) {
  if (request.num_hosts) return *request.num_hosts;
  const bool is_known = !places.hosts.empty() || places.allocation;
  if (!is_known) return request.num_ranks ? 1 : static_cast<int>(config.nodes);
  const int num_known =
      places.hosts.empty() ? places.allocation->num_hosts : static_cast<int>(places.hosts.size());
  return request.num_ranks ? std::clamp(*request.num_ranks, 1, num_known) : num_known;
}

void check(const PlacesRequest& request, const Places& places) {
  if (places.num_ranks < 1)
    throw ConfigError(c10::str("-n: ", places.num_ranks, " ranks; at least 1"));
  if (places.num_ranks < places.num_hosts)
    throw ConfigError(c10::str("-N: ", places.num_hosts, " hosts for -n ", places.num_ranks,
                               "; at least one rank a host"));
  if (!places.hosts.empty() && places.num_hosts > static_cast<int>(places.hosts.size()))
    throw ConfigError(
        c10::str("-N: ", places.num_hosts, " hosts, but --hosts names ", places.hosts.size()));
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
  for (const std::string& host : hosts)
    names += c10::str(names.empty() ? "" : ",", host, ":", ranks_per_host());
  if (!names.empty()) line = {"--host", names};
  if (allocation && !allocation->host_file.empty())
    line.insert(line.end(), {"--hostfile", allocation->host_file});
  if (num_hosts > 1)
    line.insert(line.end(), {"--map-by", c10::str("ppr:", ranks_per_host(), ":node")});
  return line;
}

Places choose_places(const PlacesRequest& request, const std::optional<Allocation>& allocation,
                     const LaunchConfig& config) {
  Places places;
  places.hosts = request.hosts;
  if (places.hosts.empty()) places.allocation = allocation;
  places.num_hosts = num_hosts_of(request, places, config);
  places.num_ranks =
      request.num_ranks.value_or(places.num_hosts * static_cast<int>(config.ranks_per_node));
  check(request, places);
  if (!places.hosts.empty()) places.hosts.resize(static_cast<size_t>(places.num_hosts));
  return places;
}

Places places_on(const std::vector<std::string>& hosts, const Places& before) {
  Places places = before;
  places.num_hosts = std::min(before.num_hosts, static_cast<int>(hosts.size()));
  places.num_ranks = std::min(before.num_ranks, places.num_hosts * before.ranks_per_host());
  places.hosts.assign(hosts.begin(), hosts.begin() + places.num_hosts);
  return places;
}

}  // namespace triga
