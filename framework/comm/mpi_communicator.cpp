#include "comm/mpi_communicator.h"

#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <optional>

#include "comm/host.h"
#include "comm/message_communicator.h"
#include "comm/mpi_entry.h"
#include "comm/progress_table.h"
#include "comm/start_watch.h"
#include "triga/log.h"

namespace triga {
namespace {

// At least so long may the start of all ranks take, however short the deadline of operations is.
constexpr std::chrono::milliseconds kStart = std::chrono::seconds(60);

boost::dll::shared_library open_library(const MpiOptions& options) {
  const std::string path =
      options.library.empty()
          ? (boost::dll::this_line_location().parent_path() / "libtriga_mpi.so").string()
          : options.library.string();
  boost::system::error_code error;
  ::dlerror();
  boost::dll::shared_library library(path, boost::dll::load_mode::rtld_now, error);
  if (error) {
    const char* text = ::dlerror();
    throw CommError(
        c10::str("cannot open ", path,
                 ", which communication between ranks needs: ", text ? text : error.message(),
                 "\n  Is Open MPI installed? A run of one rank without mpirun does not need it."));
  }
  return library;
}

// The table of this rank's host: made when nobody did so yet (`address` is empty), else opened.
// Where the system does not allow that, ranks of this host are watched by deadlines only, like
// those of other hosts.
std::shared_ptr<ProgressTable> open_table(const std::string& address,
                                          const std::vector<std::string>& hosts) {
  try {
    return address.empty() ? ProgressTable::create_shared(hosts)
                           : ProgressTable::open_shared(address, hosts);
  } catch (const CommError& error) {
    log_warning("comm", error.what(),
                ". That a rank of this host died will be noticed by deadlines only.");
    return ProgressTable::in_process(hosts);
  }
}

// The lowest rank of each host makes the table, the others open it.
std::shared_ptr<ProgressTable> share_table(Communicator& world,
                                           const std::vector<std::string>& hosts,
                                           const std::vector<std::string>& spaces) {
  const int rank = world.rank();
  const auto maker =
      static_cast<int>(std::find(spaces.begin(), spaces.end(), spaces[rank]) - spaces.begin());
  std::shared_ptr<ProgressTable> table;
  if (rank == maker) table = open_table("", hosts);
  const auto addresses =
      world.all_gather_text(table ? table->address() : "", "addresses of progress tables");
  if (rank != maker) table = open_table(addresses[maker], hosts);
  table->join(rank);
  world.barrier("progress tables are open");  // a table can be opened only while its maker lives
  return table;
}

}  // namespace

std::shared_ptr<Fabric> open_mpi_fabric(const MpiOptions& options) {
  auto library = open_library(options);
  auto& open = library.get<OpenMpiFabric>(kOpenMpiFabric);
  // The fabric's owner keeps its code loaded. MPI itself cannot be loaded twice, so the library
  // stays anyway.
  return {open(), [library](Fabric* fabric) { delete fabric; }};
}

// Ranks learn of each other through a first world, in which each sees only itself.
std::unique_ptr<Communicator> make_watched_world(std::shared_ptr<Fabric> fabric,
                                                 const MpiOptions& options) {
  const std::vector<std::string> unknown(fabric->size(), "(unknown)");
  const auto own_table = ProgressTable::in_process(unknown);
  own_table->join(fabric->rank());
  const std::vector<RankPlace> nowhere(static_cast<size_t>(fabric->size()),
                                       RankPlace{"(unknown)", ""});
  const auto first_world = make_world(fabric, own_table, nowhere, options.deadline);
  const auto hosts = first_world->all_gather_text(host_name(), "host names");
  auto spaces = first_world->all_gather_text(process_space(), "process spaces");
  for (size_t rank = 0; rank < hosts.size(); ++rank)  // containers may differ in one of them alone
    spaces[rank] = hosts[rank] + " " + spaces[rank];
  auto table = share_table(*first_world, hosts, spaces);
  std::vector<RankPlace> places;
  for (size_t rank = 0; rank < hosts.size(); ++rank)
    places.push_back({hosts[rank], options.share_memory ? spaces[rank] : std::string()});
  return make_world(std::move(fabric), std::move(table), std::move(places), options.deadline);
}

std::unique_ptr<Communicator> open_mpi_world(const MpiOptions& options) {
  std::optional<StartWatch> watch;
  if (options.on_late) watch.emplace(std::max(options.deadline, kStart), options.on_late);
  return make_watched_world(open_mpi_fabric(options), options);
}

std::string mpi_version(const MpiOptions& options) {
  const std::string text = open_library(options).get<MpiVersion>(kMpiVersion)();
  return text.substr(0, text.find_first_of(",\n"));
}

}  // namespace triga
