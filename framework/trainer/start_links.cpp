#include "trainer/start_links.h"

#include <string>
#include <vector>

#include "comm/host_leaders.h"
#include "trainer/host_clocks.h"
#include "trainer/link_speed.h"
#include "trainer/rank_record.h"
#include "triga/log.h"

namespace triga {

void measure_links(Communicator& world, LogConfig::MeasureLinks when) {
  const std::vector<int> leaders = host_leaders(world);
  const bool is_wanted = when == LogConfig::MeasureLinks::kAlways ||
                         (when == LogConfig::MeasureLinks::kAuto && leaders.size() > 1);
  if (!is_wanted || world.size() == 1) return;
  world.progress().set_activity("measuring links");
  const auto offsets = measure_clocks(world, leaders, seconds_since_1970);
  const StartSpeeds speeds = measure_start_speeds(world, network_bytes_per_second());
  if (world.rank() != 0) return;
  log_info("start", describe(speeds));
  std::vector<std::string> warnings = {speed_warning(speeds, !world.device().is_cpu())};
  for (size_t i = 0; i < leaders.size(); ++i)
    warnings.push_back(clock_warning(world.host(leaders[i]), offsets[i], world.host(0)));
  for (const std::string& warning : warnings)
    if (!warning.empty()) log_warning("start", warning);
}

}  // namespace triga
