// What `triga doctor` says of machines that no test has at hand: the judges get made facts.
#include "launchers/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launchers/doctor_files.h"
#include "launchers/doctor_gpu.h"
#include "tests/support/temporary_folder.h"

namespace triga {

/// For messages of tests, and to compare by.
std::ostream& operator<<(std::ostream& out, const Finding& finding) {
  const char* levels[] = {"ok", "warning", "problem"};
  return out << levels[static_cast<int>(finding.level)] << ": " << finding.text << " -> "
             << finding.cure;
}

namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using Level = Finding::Level;

auto is(Level level, const std::string& text) {
  return AllOf(Field("level", &Finding::level, level),
               Field("text", &Finding::text, HasSubstr(text)));
}
auto cured_by(const std::string& text) {
  return Field("cure", &Finding::cure, HasSubstr(text));
}
const auto all_ok = Each(Field("level", &Finding::level, Level::kOk));

TEST(DoctorReport, IsATableWithCuresAndACount) {
  std::ostringstream out;
  const Findings findings = {
      ok("MPI", "Open MPI v4.1.4"),
      problem("MPI", "mpirun is of another MPI", "put it first", ExitStatus::kCommunication),
      warning("cores", "one two three four five six seven eight nine ten eleven", "fewer")};
  print_table(findings, 70, out);
  EXPECT_EQ(out.str(),
            "MPI              ok       Open MPI v4.1.4\n"
            "                 PROBLEM  mpirun is of another MPI\n"
            "                          -> put it first\n"
            "cores            warning  one two three four five six seven eight nine\n"
            "                          ten eleven\n"
            "                          -> fewer\n"
            "1 problem, 1 warning.\n");
  EXPECT_EQ(exit_status(findings), ExitStatus::kCommunication);
  EXPECT_EQ(exit_status({findings[0], findings[2]}), ExitStatus::kDone) << "a warning is none";
  std::ostringstream json;
  print_json(findings, json);
  const auto object = nlohmann::json::parse(json.str());
  EXPECT_EQ(object["exit_status"], 6);
  EXPECT_EQ(object["findings"][1]["level"], "problem");
  EXPECT_EQ(object["findings"][1]["cure"], "put it first");
}

TEST(DoctorMpi, ComparesTheLibraryWithMpirun) {
  const std::string library = "Open MPI v4.1.4", path = "/usr/bin/mpirun";
  EXPECT_THAT(judge_mpi(library, "", "mpirun (Open MPI) 4.1.4\n\nReport bugs to", path, true),
              all_ok);
  EXPECT_THAT(
      judge_mpi(library, "", "mpirun (Open MPI) 5.0.3", path, true),
      Contains(AllOf(is(Level::kProblem, "is version 5.0.3, the library that Triga opens 4.1.4"),
                     cured_by("one installation"))));
  EXPECT_THAT(
      judge_mpi(library, "", "HYDRA build details:\n Version: 4.0", path, true),
      Contains(is(Level::kProblem, "/usr/bin/mpirun is of another MPI (HYDRA build details:)")));
  EXPECT_THAT(judge_mpi(library, "", "", "", true),
              Contains(AllOf(is(Level::kWarning, "not in PATH"), cured_by("srun --mpi=pmix"))));
  EXPECT_THAT(judge_mpi("Open MPI v3.1.0", "", "mpirun (Open MPI) 3.1.0", path, true),
              Contains(is(Level::kProblem, "not made for")));
  EXPECT_THAT(judge_mpi("", "libmpi.so.40 is not there", "", "", true),
              ElementsAre(is(Level::kProblem, "libmpi.so.40 is not there")));
  EXPECT_THAT(judge_mpi("", "libmpi.so.40 is not there", "", "", false),
              ElementsAre(is(Level::kWarning, "one rank is all that can run here")));
}

TEST(DoctorMpi, WantsThreadsAndUnderSlurmItsHosts) {
  const std::string threads =
      "Thread support: posix (MPI_THREAD_MULTIPLE: yes, OPAL support: yes)\n";
  EXPECT_THAT(judge_mpi_parts(threads, ""), ElementsAre());
  EXPECT_THAT(judge_mpi_parts("MPI_THREAD_MULTIPLE: no", ""),
              ElementsAre(is(Level::kProblem, "MPI_THREAD_MULTIPLE")));
  EXPECT_THAT(judge_mpi_parts(threads, "Slurm"), ElementsAre(is(Level::kWarning, "without Slurm")));
  EXPECT_THAT(judge_mpi_parts(threads + "   MCA ras: slurm (MCA v2.1.0)\n", "Slurm"),
              ElementsAre());
}

TEST(DoctorMpi, SaysWhichPmixItUses) {
  const std::string debian =
      "mca:pmix:ext3x:version:\"mca:2.1.0\"\n"
      "mca:pmix:ext3x:version:\"component:4.1.4\"\n"
      "mca:pmix:isolated:version:\"component:4.1.4\"\n"
      "mca:pmix:base:param:pmix_base_verbose:value:error\n"
      "mca:pmix:ext3x:param:pmix_ext3x_library_version:value:\"PMIx library version OpenPMIx "
      "4.2.2rc2 (PMIx Standard: 4.2, Stable ABI: 0.0) (embedded in Open MPI)\"\n"
      "mca:pmix:ext3x:param:pmix_ext3x_library_version:source:default\n";
  const auto components = pmix_components(debian);
  ASSERT_EQ(components.size(), 2U);
  EXPECT_EQ(components[0].name, "ext3x");
  EXPECT_EQ(components[0].version, "4.2.2");
  EXPECT_FALSE(components[1].speaks_pmix());
  const std::string library = "Open MPI v4.1.4";
  EXPECT_THAT(judge_pmix(library, components),
              is(Level::kOk, "PMIx: an external library 4.2.2 (ext3x)"));
  EXPECT_THAT(judge_pmix(library, {{"pmix3x", "3.2.3"}, {"ext3x", ""}}),
              is(Level::kOk, "PMIx: Open MPI's own 3.2.3 (pmix3x), an external library (ext3x)"));
  EXPECT_THAT(judge_pmix(library, {{"s2", ""}, {"isolated", ""}}),
              AllOf(is(Level::kWarning, "it has no PMIx (s2, isolated)"), cured_by("--with-pmix")));
  EXPECT_THAT(judge_pmix("Open MPI v5.0.3", {}), is(Level::kOk, "that it was built with"));
  for (const char* text : {"", "ompi_info: error while loading shared libraries",
                           "mca:pmix:", "mca:pmix\n MCA pmix: ext3x (MCA v2.1.0)"})
    EXPECT_THAT(judge_pmix(library, pmix_components(text)), is(Level::kOk, "not known")) << text;
}

TEST(DoctorMpi, FindsVersions) {
  EXPECT_EQ(version_in("Open MPI v4.1.4, package: Debian"), "4.1.4");
  EXPECT_EQ(version_in("mpirun (Open MPI) 5.0.3."), "5.0.3");
  EXPECT_EQ(version_in("version 12 of it"), "");
  EXPECT_EQ(version_in(""), "");
}

TEST(DoctorScheduler, NeedsPmix) {
  EXPECT_THAT(pmix_of_srun("MPI plugin types are...\n\tpmi2\n\tpmix\nspecific pmix plugin versions "
                           "available: pmix_v3,pmix_v4\n"),
              ElementsAre("pmix", "pmix_v3", "pmix_v4"));
  EXPECT_THAT(pmix_of_srun("srun: pmix_v4\nsrun: pmix"), ElementsAre("pmix_v4", "pmix"));
  EXPECT_THAT(pmix_of_srun(""), ElementsAre());
  EXPECT_THAT(judge_srun("MPI plugin types are...\n\tnone\n\tpmix\n\tpmix_v4\nspecific"),
              is(Level::kOk, "pmix"));
  EXPECT_THAT(judge_srun("srun: MPI types are...\nsrun: none\nsrun: pmi2"),
              AllOf(is(Level::kWarning, "no PMIx"), cured_by("triga launch")));
  EXPECT_THAT(judge_srun("srun: error: resolve_ctls_from_dns_srv"),
              is(Level::kWarning, "does not work here"));
}

TEST(DoctorScheduler, SaysWhereThisProcessIs) {
  EXPECT_THAT(judge_placement({}, std::nullopt, 1), is(Level::kOk, "in no job"));
  Allocation job;
  job.scheduler = "Slurm";
  job.job = "12";
  job.num_hosts = 2;
  EXPECT_THAT(judge_placement({}, job, 2), is(Level::kOk, "here triga train is a run of one rank"));
  EXPECT_THAT(judge_placement({}, job, 4), is(Level::kWarning, "wants 4 hosts"));
  Placement rank;
  rank.launcher = "Open MPI";
  rank.rank = 1;
  rank.world_size = 4;
  EXPECT_THAT(judge_placement(rank, job, 2),
              is(Level::kOk, "this is rank 1 of 4 that Open MPI started"));
  Placement wrong;
  wrong.problem = "the launcher of another MPI started 4 processes";
  EXPECT_THAT(judge_placement(wrong, job, 2), is(Level::kProblem, "another MPI started 4"));
  wrong.problem = "srun started 4 tasks without PMIx";
  EXPECT_THAT(judge_placement(wrong, job, 2), is(Level::kWarning, "srun started 4 tasks"))
      << "srun -N 4 triga doctor";
}

CoreCounts cores(int of_all, int mine, double quota = INFINITY) {
  CoreCounts counts;
  counts.of_all = of_all;
  counts.mine = mine;
  counts.quota = quota;
  return counts;
}

TEST(DoctorHost, CountsCores) {
  EXPECT_THAT(judge_cores(cores(8, 8), std::nullopt, 2),
              ElementsAre(is(Level::kOk, "8 cores; 4 threads for each of 2 ranks")));
  EXPECT_THAT(judge_cores(cores(8, 8, 1.5), std::nullopt, 4),
              ElementsAre(AllOf(is(Level::kWarning, "a limit of 1.5 (control group)"),
                                cured_by("launch.cpus_per_rank"))));
  EXPECT_THAT(judge_cores(cores(8, 8), "16", 1),
              Contains(is(Level::kOk, "OMP_NUM_THREADS=16 is not followed")));
}

TEST(DoctorHost, KnowsWhenMemoryIsShort) {
  EXPECT_THAT(judge_memory(64e9, 60e9, 0), is(Level::kOk, "64.0 GB, 60.0 GB of it free"));
  EXPECT_THAT(judge_memory(64e9, 60e9, 8e9), is(Level::kOk, "a limit of 8.0 GB (control group)"));
  EXPECT_THAT(judge_memory(64e9, 60e9, 0.5e9), is(Level::kWarning, "a limit of 500 MB"));
}

TEST(DoctorHost, KnowsWhoUsesSharedMemory) {
  EXPECT_THAT(judge_shared_memory(64e6, 64e6, 4, 0), is(Level::kOk, "64 MB, 64 MB of it free"))
      << "what ranks share lies elsewhere";
  EXPECT_THAT(judge_shared_memory(64e6, 64e6, 2, 2), is(Level::kOk, "64 MB of it free"));
  EXPECT_THAT(judge_shared_memory(64e6, 64e6, 4, 4),
              AllOf(is(Level::kWarning, "NCCL may want 240 MB for 4 GPUs"),
                    cured_by("docker run --shm-size")));
  EXPECT_THAT(judge_shared_memory(64e6, 64e6, 1, 4), is(Level::kWarning, "NCCL"))
      << "without an experiment: whatever the host has";
  EXPECT_THAT(judge_shared_memory(8e9, 7e9, 8, 8), is(Level::kOk, "8.0 GB, 7.0 GB of it free"));
  EXPECT_THAT(judge_shared_memory(64e6, 1e6, 4, 0),
              AllOf(is(Level::kWarning, "Open MPI may want 17 MB for messages of 4 ranks"),
                    cured_by("remove what dead programs left there")));
  EXPECT_THAT(judge_shared_memory(64e6, 1e6, 1, 1), is(Level::kOk, "1 MB of it free"));
  EXPECT_THAT(judge_shared_memory(0, 0, 4, 0), is(Level::kOk, "no /dev/shm"));
  EXPECT_THAT(judge_shared_memory(0, 0, 2, 2),
              AllOf(is(Level::kWarning, "there is no /dev/shm; NCCL"), cured_by("mount a tmpfs")));
}

TEST(DoctorHost, InfiniBandLocksMemory) {
  EXPECT_THAT(judge_network(12.5e9, true, 65536),
              AllOf(is(Level::kWarning, "may lock only 0 MB"), cured_by("ulimit -l unlimited")));
  EXPECT_THAT(judge_network(12.5e9, true, -1),
              is(Level::kOk, "InfiniBand; the fastest card's speed is 12.5 GB/s"));
  EXPECT_THAT(judge_network(0, false, 65536),
              is(Level::kOk, "no InfiniBand; the fastest card's speed is not known"));
}

FolderPlace place_on(int64_t magic, bool is_temporary = false) {
  FolderPlace place;
  place.folder = "/runs";
  place.kind = file_system_kind(magic);
  place.free_bytes = 500e9;
  place.is_temporary = is_temporary;
  return place;
}

Findings files(int64_t magic, int num_hosts, const FileTrials& trials = {},
               bool is_temporary = false) {
  return judge_files(place_on(magic, is_temporary), trials, num_hosts);
}

TEST(DoctorFiles, KnowsWhoSeesAFolder) {
  constexpr int64_t kExt4 = 0xEF53, kNfs = 0x6969, kTmpfs = 0x01021994, kFuse = 0x65735546;
  EXPECT_THAT(files(kExt4, 1), all_ok);
  EXPECT_THAT(files(kExt4, 2),
              Contains(AllOf(is(Level::kProblem, "only this host sees it, and the run has 2 hosts"),
                             cured_by("--run-dir"))));
  EXPECT_THAT(files(kNfs, 2), Contains(is(Level::kOk, "NFS, 500.0 GB free, which hosts share")));
  EXPECT_THAT(files(kTmpfs, 1), Contains(is(Level::kWarning, "gone with the next start")));
  EXPECT_THAT(files(kFuse, 2), Contains(is(Level::kWarning, "do other hosts see it?")));
  EXPECT_THAT(files(kExt4, 1, {}, true), Contains(is(Level::kWarning, "gone with the next start")));
  EXPECT_THAT(files(0x1234, 1), Contains(is(Level::kOk, "an unknown file system (0x1234)")));
}

TEST(DoctorFiles, DoubtsThatOtherHostsSeeAFolder) {
  constexpr int64_t kXfs = 0x58465342, kNfs = 0x6969, kFuse = 0x65735546;
  EXPECT_EQ(sharing_problem(place_on(kXfs), 1), "");
  EXPECT_EQ(sharing_problem(place_on(kXfs), 2), "only this host sees it, and the run has 2 hosts");
  EXPECT_EQ(sharing_problem(place_on(kNfs), 2), "");
  EXPECT_NE(sharing_problem(place_on(kNfs, true), 2), "") << "below /tmp";
  EXPECT_EQ(sharing_problem(place_on(kFuse), 2), "") << "nothing is known against it";
}

TEST(DoctorFiles, FindsWhereAFolderIsToLie) {
  const test::TemporaryFolder folder;
  const FolderPlace place = find_place(folder.path() / "not" / "yet");
  EXPECT_EQ(place.error, 0);
  EXPECT_EQ(place.folder, folder.path());
  EXPECT_GT(place.free_bytes, 0);
  EXPECT_TRUE(find_place("/tmp").is_temporary);
  EXPECT_FALSE(find_place("/").is_temporary);
}

TEST(DoctorFiles, SaysWhatDoesNotWork) {
  FileTrials trials;
  trials.write = "cannot write /runs/x: Read-only file system";
  EXPECT_THAT(files(0x6969, 2, trials), ElementsAre(is(Level::kProblem, "Read-only file system")));
  trials = {};
  trials.lock = "cannot lock /runs/x: Function not implemented";
  trials.sync_seconds = 3;
  EXPECT_THAT(files(0x0BD00BD0, 2, trials),
              AllOf(Contains(AllOf(is(Level::kProblem, "locks do not work"),
                                   cured_by("mount option flock"))),
                    Contains(is(Level::kWarning, "took 3.0 s to be safe"))));
}

TEST(DoctorFiles, TriesThemAndLeavesNothing) {
  const test::TemporaryFolder folder;
  const FileTrials trials = try_files(posix_files(), folder.path());
  EXPECT_EQ(trials.write, "");
  EXPECT_EQ(trials.lock, "");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_NE(try_files(posix_files(), folder.path() / "is_not_there").write, "");
}

CudaBuild cuda_build(int cuda) {
  CudaBuild build;
  build.is_there = true;
  build.cuda = cuda;
  build.nccl_built_with = build.nccl_loaded = "2.28.3";
  build.architectures = {"sm_75", "sm_80", "sm_90", "compute_90"};
  return build;
}

GpuFacts host_with(const std::string& driver, int driver_cuda, int major = 9, int minor = 0) {
  GpuFacts facts;
  facts.driver = driver;
  facts.driver_cuda = driver_cuda;
  facts.gpus.push_back({"NVIDIA H200", major, minor, 150e9});
  return facts;
}

TEST(DoctorGpu, ComparesDriverAndBuild) {
  const Wishes any;
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000), cuda_build(13000), any), all_ok);
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000), cuda_build(12080), any), all_ok)
      << "newer drivers run older CUDA";
  EXPECT_THAT(
      judge_gpus(host_with("550.54.15", 12040), cuda_build(13000), any),
      Contains(AllOf(
          is(Level::kProblem, "driver 550.54.15 is for CUDA up to 12.4, this build for CUDA 13.0"),
          cured_by("a driver of at least 580; or build Triga with a LibTorch for CUDA 12 (a "
                   "variant cu12x)"))));
  EXPECT_THAT(judge_gpus(host_with("550.54.15", 12040), cuda_build(12080), any), all_ok)
      << "minor versions are compatible";
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 0), cuda_build(13000), any),
              Contains(AllOf(is(Level::kProblem, "libcuda.so.1"), cured_by("apptainer --nv"))));
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000), {}, any),
              ElementsAre(AllOf(is(Level::kWarning, "built for the CPU only"),
                                cured_by("./dev build --cuda"))));
}

TEST(DoctorGpu, ComparesArchitectures) {
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000, 7, 0), cuda_build(13000), {}),
              Contains(AllOf(is(Level::kProblem,
                                "compute capability 7.0: this LibTorch has code for sm_75, sm_80"),
                             cured_by("older CUDA"))));
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000, 12, 0), cuda_build(13000), {}), all_ok)
      << "PTX";
  EXPECT_TRUE(runs_on({"sm_80"}, 8, 6));
  EXPECT_FALSE(runs_on({"sm_86"}, 8, 0));
  EXPECT_FALSE(runs_on({"sm_80"}, 9, 0));
  EXPECT_TRUE(runs_on({"sm_90a"}, 9, 0));
  EXPECT_FALSE(runs_on({"sm_100a"}, 10, 3));
  EXPECT_THAT(
      architectures_in(
          "NVCC flags: -gencode;arch=compute_75,code=sm_75;-gencode;arch=compute_90,code=sm_90;"
          "-gencode;arch=compute_120,code=compute_120\n"),
      ElementsAre("sm_75", "sm_90", "compute_120"));
  EXPECT_EQ(
      driver_version_in(
          "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\nGCC version: 12"),
      "580.65.06");
  EXPECT_EQ(driver_version_in(
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release"),
            "570.124.06");
  EXPECT_EQ(driver_version_in(""), "");
}

TEST(DoctorGpu, WithoutOneItDependsOnTheWish) {
  Wishes wishes;
  EXPECT_THAT(judge_gpus({}, {}, wishes), ElementsAre(is(Level::kOk, "no NVIDIA driver")));
  wishes.device = "cuda";
  EXPECT_THAT(judge_gpus({}, {}, wishes), ElementsAre(is(Level::kProblem, "train.device is cuda")));
  GpuFacts none = host_with("580.65.06", 13000);
  none.gpus.clear();
  EXPECT_THAT(judge_gpus(none, cuda_build(13000), wishes),
              Contains(AllOf(is(Level::kProblem, "no GPU that this process may use"),
                             cured_by("CUDA_VISIBLE_DEVICES"))));
  none.init_status = 802;
  none.init_name = "CUDA_ERROR_SYSTEM_NOT_READY";
  EXPECT_THAT(judge_gpus(none, cuda_build(13000), wishes),
              Contains(AllOf(is(Level::kProblem, "cuInit() gives 802 (CUDA_ERROR_SYSTEM_NOT_READY"),
                             cured_by("nvidia-fabricmanager"))));
  wishes.num_ranks = 4;
  EXPECT_THAT(judge_gpus(host_with("580.65.06", 13000), cuda_build(13000), wishes),
              Contains(is(Level::kProblem, "4 ranks a host, and 1 GPUs")));
  CudaBuild older_nccl = cuda_build(13000);
  older_nccl.nccl_loaded = "2.18.1";
  EXPECT_THAT(
      judge_gpus(host_with("580.65.06", 13000), older_nccl, {}),
      Contains(is(Level::kWarning, "NCCL 2.18.1 was loaded, and Triga was built with 2.28.3")));
}

}  // namespace
}  // namespace triga
