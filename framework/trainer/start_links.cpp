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
  const bool on_gpus = !world.device().is_cpu();
  const bool is_wanted =
      when == LogConfig::MeasureLinks::kAlways ||
      (when == LogConfig::MeasureLinks::kAuto && (leaders.size() > 1 || on_gpus));
  if (world.size() == 1) return;
  world.progress().set_activity("measuring links");
  std::vector<std::string> warnings;
  if (leaders.size() > 1) {
    const auto offsets = measure_clocks(world, leaders, seconds_since_1970);
    for (size_t i = 0; i < offsets.size(); ++i)  // rank 0 has them
      warnings.push_back(clock_warning(world.host(leaders[i]), offsets[i], world.host(0)));
  }
  if (is_wanted) {
    const StartSpeeds speeds = measure_start_speeds(world, network_bytes_per_second());
    if (world.rank() == 0) log_info("start", describe(speeds));
    warnings.push_back(speed_warning(speeds, on_gpus));
    warnings.push_back(speed_warning_in_host(speeds, on_gpus));
  }
  world.progress().set_activity("preparing");
  if (world.rank() != 0) return;
  for (const std::string& warning : warnings)
    if (!warning.empty()) log_warning("start", warning);
}

}  // namespace triga
