// A run in which one rank comes to harm in the middle of an operation: `mpirun -n N comm_victim
// --operation=all_reduce
// --memory=shared|own --fault=kill --victim=1 --at=4 --deadline_ms=30000 --reports=DIR`. The fault
// strikes before the victim's at-th message, or step in shared memory, of the operation. Each rank
// writes DIR/rank-R: its process id and what it maps from shared memory; the time of the fault; how
// it ended. comm_faults.py starts it and judges.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>

#include "comm/mpi_communicator.h"

namespace triga {
namespace {

constexpr int64_t kLarge = 3'000'000;  // elements: several rounds of messages
constexpr int64_t kStep = 17;

struct Arguments {
  std::string operation, fault, reports;
  int victim = 0;
  int at = 1;
  int deadline_ms = 30'000;
  bool share_memory = false;
};

Arguments parse(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t equals = text.find('=');
    given[text.substr(2, equals - 2)] = text.substr(equals + 1);
  }
  return {given.at("operation"),         given.at("fault"),
          given.at("reports"),           std::stoi(given.at("victim")),
          std::stoi(given.at("at")),     std::stoi(given.at("deadline_ms")),
          given.at("memory") == "shared"};
}

// What this rank leaves for the judge; written through, since the next instruction may be its last.
class Report {
 public:
  void open(const std::string& folder, int rank) { file_.open(c10::str(folder, "/rank-", rank)); }
  void line(const std::string& key, const std::string& value) {
    file_ << key << ' ' << value << std::endl;
  }
  void line_with_time(const std::string& key) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    line(key, std::to_string(std::chrono::duration<double>(now).count()));
  }

 private:
  std::ofstream file_;
};

class FaultyFabric final : public Fabric {
 public:
  FaultyFabric(std::shared_ptr<Fabric> fabric, std::function<void()> fault)
      : fabric_(std::move(fabric)), fault_(std::move(fault)) {}

  void arm(int at) { messages_left_ = at; }

  int rank() const override { return fabric_->rank(); }
  int size() const override { return fabric_->size(); }
  std::unique_ptr<Message> send(int to, int tag, Bytes bytes) override {
    count();
    return fabric_->send(to, tag, std::move(bytes));
  }
  std::unique_ptr<Message> receive(int from, int tag, Bytes bytes) override {
    count();
    return fabric_->receive(from, tag, std::move(bytes));
  }
  void before_shared_step() override { count(); }
  void finish() override { fabric_->finish(); }

 private:
  void count() {
    if (messages_left_ > 0 && --messages_left_ == 0) fault_();
  }

  const std::shared_ptr<Fabric> fabric_;
  const std::function<void()> fault_;
  std::atomic<int> messages_left_{0};
};

void strike(const std::string& fault, Report& report) {
  report.line_with_time("fault");
  if (fault == "kill") raise(SIGKILL);
  if (fault == "segv") raise(SIGSEGV);
  if (fault == "stop") raise(SIGSTOP);
  if (fault == "exit") _exit(0);
  if (fault == "throw") throw DataError("shard-3.bin is truncated");
}

/// `buffer`: kLarge elements a rank, of the communicator's memory.
using Operation = std::function<void(Communicator& world, const at::Tensor& buffer)>;

const std::map<std::string, Operation>& operations() {
  static const std::map<std::string, Operation> all = {
      {"all_reduce",
       [](Communicator& world, const at::Tensor&) {
         world.all_reduce(at::ones({kLarge}), ReduceOp::kSum, "victim").wait();
       }},
      {"reduce_scatter",
       [](Communicator& world, const at::Tensor&) {
         world
             .reduce_scatter(at::ones({kLarge * world.size()}), at::zeros({kLarge}), ReduceOp::kSum,
                             "victim")
             .wait();
       }},
      {"all_gather",
       [](Communicator& world, const at::Tensor&) {
         world.all_gather(at::ones({kLarge}), at::zeros({kLarge * world.size()}), "victim").wait();
       }},
      {"broadcast",
       [](Communicator& world, const at::Tensor&) {
         world.broadcast(at::ones({kLarge}), 0, "victim").wait();
       }},
      {"all_reduce_in_a_buffer",
       [](Communicator& world, const at::Tensor& buffer) {
         world.all_reduce(buffer, ReduceOp::kSum, "victim").wait();
       }},
      {"reduce_scatter_in_a_buffer",
       [](Communicator& world, const at::Tensor& buffer) {
         world.reduce_scatter(buffer, at::zeros({kLarge}), ReduceOp::kSum, "victim").wait();
       }},
      {"all_gather_in_a_buffer",
       [](Communicator& world, const at::Tensor& buffer) {
         world.all_gather(at::ones({kLarge}), buffer, "victim").wait();
       }},
      {"send_recv",
       [](Communicator& world, const at::Tensor&) {
         const auto received = at::zeros({kLarge});
         world.begin_group();
         world.send(at::ones({kLarge}), (world.rank() + 1) % world.size(), "victim");
         world.recv(received, (world.rank() + world.size() - 1) % world.size(), "victim");
         world.end_group().wait();
         world.barrier(
             "victim is through");  // two neighbours of a ring may be done without the victim
       }},
      {"barrier", [](Communicator& world, const at::Tensor&) { world.barrier("victim"); }},
      {"all_reduce_values",
       [](Communicator& world, const at::Tensor&) {
         std::vector<double> values(3, 1.0);
         world.all_reduce_values(values, ReduceOp::kSum, "victim");
       }},
      {"all_gather_text",
       [](Communicator& world, const at::Tensor&) {
         world.all_gather_text(std::string(100'000, 'x'), "victim");
       }},
      {"broadcast_text",
       [](Communicator& world, const at::Tensor&) {
         world.broadcast_text(std::string(100'000, 'x'), 0, "victim");
       }},
      {"split", [](Communicator& world, const at::Tensor&) { world.split(0, "victim"); }},
      {"allocate", [](Communicator& world, const at::Tensor&) { world.allocate(10, at::kFloat); }},
      {"finish", [](Communicator& world, const at::Tensor&) { world.finish(); }},
  };
  return all;
}

std::string shared_memory_files() {
  std::ifstream maps("/proc/self/maps");
  std::string line, files;
  while (std::getline(maps, line))
    if (const size_t at = line.find("/dev/shm/");
        at != std::string::npos && files.find(line.substr(at)) == std::string::npos)
      files += line.substr(at) + " ";
  return files;
}

// Returns the exit status.
int run(const Arguments& arguments, Report& report) {
  auto fabric =
      std::make_shared<FaultyFabric>(open_mpi_fabric({}), [&] { strike(arguments.fault, report); });
  report.open(arguments.reports, fabric->rank());
  report.line("pid", std::to_string(getpid()));
  report.line("shared", shared_memory_files());
  const bool is_victim = fabric->rank() == arguments.victim;
  std::unique_ptr<Communicator> world;
  try {
    if (is_victim && arguments.operation == "start") fabric->arm(arguments.at);
    world =
        make_watched_world(fabric, {.library = {},
                                    .deadline = std::chrono::milliseconds(arguments.deadline_ms),
                                    .share_memory = arguments.share_memory});
    const auto& operation =
        operations().at(arguments.operation == "start" ? "barrier" : arguments.operation);
    world->set_step(kStep - 1);
    const at::Tensor buffer = world->allocate(kLarge * world->size(), at::kFloat);
    if (arguments.operation != "finish") operation(*world, buffer);
    world->progress().report(kStep, "");
    if (is_victim) fabric->arm(arguments.at);
    operation(*world, buffer);
    if (arguments.operation != "finish") world->finish();
    return 0;
  } catch (const Error& error) {
    if (world) world->progress().mark_failed(error.what(), error.status());
    report.line("says", error.what());
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.status());
  }
}

}  // namespace
}  // namespace triga

int main(int argc, char** argv) {
  const rlimit no_core{};
  setrlimit(RLIMIT_CORE, &no_core);
  triga::Report report;
  const int status = triga::run(triga::parse(argc, argv), report);
  report.line("status", std::to_string(status));
  report.line_with_time("end");
  _exit(status);
}
