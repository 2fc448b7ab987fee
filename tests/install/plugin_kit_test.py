"""From an installed tree: `triga plugin new`, build, check, train, install; and what find_package(triga) refuses."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from triga_runner import BUILD, environment


HALVING = """\
#include <cmath>

#include "triga/plugin.h"

extern "C" double half_of(double number);

struct Halving {};
void describe(triga::Fields&, Halving&) {}

class HalvingSchedule final : public triga::LearningRateSchedule {
 public:
  double factor(int64_t step) const override {
    double factor = 1;
    for (int64_t i = 0; i < step && factor > 0; ++i) factor = half_of(factor);
    return factor;
  }
};

TRIGA_PLUGIN(halving, "1.0.0") {
  registry.learning_rate_schedules.add<Halving>(
      "halving", "Half at every step.",
      [](const Halving&, const triga::LearningRateScheduleContext&) { return std::make_unique<HalvingSchedule>(); });
}
"""


class PluginKit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="triga-kit-"))
        cls.prefix = cls.root / "prefix"
        cls.triga = cls.prefix / "bin" / "triga"
        cls.run_one(cls, "cmake", "--install", BUILD, "--prefix", cls.prefix)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def run_one(self, *command, status=0, **changes):
        done = subprocess.run(list(map(str, command)), cwd=self.root, env=environment(**changes), capture_output=True,
                              text=True, timeout=600)
        if done.returncode != status:
            raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def configure(self, source, build, *arguments, **expected):
        return self.run_one("cmake", "-S", source, "-B", self.root / build, f"-DCMAKE_PREFIX_PATH={self.prefix}", *arguments,
                            **expected)

    def test_a_new_plugin_is_built_checked_trained_and_installed(self):
        folder = self.root / "letters"
        self.follow(self.new("letters"), steps=300)
        checked = self.run_one(self.triga, "plugin", "check", folder / "build" / "letters.so", "--experiment",
                               folder / "experiment.yaml")
        self.assertIn("PASS  architecture bigram: gradients equal finite differences", checked)
        self.assertIn("checks passed", checked)
        experiment = folder / "experiment.yaml"
        refused = self.run_one(self.triga, "check", experiment, status=3)
        self.assertIn("experiment.yaml:2: model.plugin: there is no plugin 'letters'", refused)
        self.assertIn(f"{self.prefix.resolve()}/lib/triga/plugins: ", refused)
        self.assertIn("The folder that has letters.so can be added: export TRIGA_PLUGIN_PATH=FOLDER", refused)
        self.run_one("cmake", "--install", folder / "build", "--prefix", self.prefix)
        try:
            self.assertIn("ok. letters bigram", self.run_one(self.triga, "check", experiment))
            self.assertIn("there is a plugin 'letters' already", self.run_one(self.triga, "plugin", "new", "letters", status=2))
        finally:
            (self.prefix / "lib" / "triga" / "plugins" / "letters.so").unlink()

    def test_links_of_its_pages_lead_somewhere(self):
        share = self.prefix / "share" / "triga"
        pages = [share / "README.md", share / "CHANGELOG.md", *(share / "docs").glob("*.md")]
        links = [(page, link) for page in pages
                 for link in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", page.read_text()) if "/" in link or "." in link]
        self.assertGreater(len(links), 20)
        self.assertEqual([(page.name, link) for page, link in links if not (page.parent / link).exists()], [])

    def new(self, name, *arguments):
        """Writes a plugin; the commands that it is told to go on with."""
        said = self.run_one(self.triga, "plugin", "new", name, *arguments)
        for file in (self.root / name).rglob("*"):
            if file.is_file():
                self.assertNotIn("my_plugin", file.read_text(), file)
        commands = [line.strip() for line in said.splitlines() if line.startswith("    ")]
        self.assertEqual(commands[0], f"cmake -S {name} -B {name}/build -DCMAKE_PREFIX_PATH={self.prefix.resolve()}")
        return commands

    def follow(self, commands, steps):
        """Types them into a shell, with bin in the PATH, as a reader does."""
        path = f"{self.prefix / 'bin'}:{os.environ['PATH']}"
        said = self.run_one("bash", "-ec", "\n".join(commands), PATH=path)
        self.assertIn("100% tests passed, 0 tests failed out of 2", said)
        self.assertIn(f"done at step {steps}", said)

    def test_a_plugin_of_one_part_serves_models_of_triga(self):
        for part, checked in (("dataset", "dataset sentences: data.validation is the same every time"),
                              ("optimizer", "optimizer momentum: a range may be cut anywhere"),
                              ("metric", "metric mean_rank: it merges to what one rank would count")):
            with self.subTest(part=part):
                name = f"only_{part}"
                self.follow(self.new(name, "--only", part), steps=60)
                said = self.run_one(self.triga, "plugin", "check", self.root / name / "build" / f"{name}.so", "--experiment",
                                    self.root / name / "experiment.yaml")
                self.assertIn(f"PASS  {checked}", said)
        lines = [json.loads(line) for line in (self.root / "runs" / "only_metric" / "metrics.jsonl").read_text().splitlines()]
        ranks = [line["mean_rank"] for line in lines if line.get("split") == "validation"]
        self.assertLess(ranks[-1], ranks[0])
        self.assertGreaterEqual(ranks[-1], 1)

    def test_a_new_plugin_elsewhere_says_where_to_go(self):
        (self.root / "deep").mkdir()
        said = self.run_one(self.triga, "plugin", "new", "away", "--in", "deep", "--only", "metric")
        self.assertIn("deep/away is there.", said)
        self.assertIn("    cd deep\n    cmake -S away -B away/build", said)
        self.assertTrue((self.root / "deep" / "away" / "mean_rank.cpp").exists())
        self.assertIn("--only: nonsense not in {dataset,optimizer,metric}",
                      self.run_one(self.triga, "plugin", "new", "other", "--only", "nonsense", status=2))

    def test_a_name_that_cannot_be_is_refused_and_nothing_is_overwritten(self):
        def refused(*arguments):
            return self.run_one(self.triga, "plugin", "new", *arguments, status=2)

        for name in ("Own", "9lives", "a-b", "../up", "", "x" * 65):
            self.assertIn(f"'{name}' cannot be the name of a plugin", refused(name))
        self.assertIn("'core' means Triga itself", refused("core"))
        self.assertIn("there is a plugin 'rnn' already", refused("rnn"))
        self.assertIn("--in nowhere: there is no such folder", refused("mine", "--in", "nowhere"))
        (self.root / "mine").mkdir()
        (self.root / "mine" / "kept.txt").write_text("kept")
        self.assertIn("mine is there already; nothing was written", refused("mine"))
        self.assertEqual(os.listdir(self.root / "mine"), ["kept.txt"])
        self.assertEqual([name for name in os.listdir(self.root) if name.endswith(".part")], [])
        self.assertIn("--in /proc: cannot make the directory /proc/.another.part", refused("another", "--in", "/proc"))
        scaffold = self.prefix / "share" / "triga" / "scaffold"
        scaffold.rename(scaffold.with_name("hidden"))
        try:
            self.assertIn("this is no whole install", refused("another"))
        finally:
            scaffold.with_name("hidden").rename(scaffold)

    def small_project(self, name, cmake):
        folder = self.root / name
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.25)\n{cmake}")
        return folder

    def test_a_plugin_may_need_a_library_of_its_own(self):
        project = self.small_project("own_library", f"""project(own_library LANGUAGES CXX)
find_package(triga REQUIRED)
triga_add_plugin(halving plugin.cpp)
target_link_libraries(triga_plugin_halving PRIVATE {self.root}/elsewhere/libabacus.so)
install(FILES {self.root}/elsewhere/libabacus.so DESTINATION lib)
""")
        (project / "plugin.cpp").write_text(HALVING)
        (self.root / "elsewhere").mkdir()
        (self.root / "abacus.c").write_text("double half_of(double number) { return number / 2; }\n")
        self.run_one("cc", "-shared", "-fPIC", "-Wl,-soname,libabacus.so", "abacus.c", "-o", "elsewhere/libabacus.so")
        self.configure(project, "halving_build")
        self.run_one("cmake", "--build", "halving_build")
        built = self.root / "halving_build"
        self.assertRegex(self.run_one(self.triga, "list", TRIGA_PLUGIN_PATH=built), r"halving +halving +Half at every step")
        prefix = self.root / "halving_prefix"
        self.run_one("cmake", "--install", built, "--prefix", prefix)
        shutil.rmtree(self.root / "elsewhere")
        shutil.rmtree(built)
        installed = prefix / "lib" / "triga" / "plugins"
        self.assertNotIn(str(self.root).encode(), (installed / "halving.so").read_bytes())
        said = self.run_one(self.triga, "list", TRIGA_PLUGIN_PATH=installed)
        self.assertRegex(said, r"halving +halving +Half at every step")
        self.assertNotIn("warning", said)
        self.assertIn("halving 1.0.0", self.run_one(self.triga, "doctor", TRIGA_PLUGIN_PATH=installed))
        (prefix / "lib" / "libabacus.so").unlink()
        said = self.run_one(self.triga, "plugin", "check", installed / "halving.so", status=3)
        self.assertIn("it needs the library libabacus.so, which was not found", said)

    def test_what_the_package_cannot_work_with_is_said(self):
        project = self.small_project("own", "project(own LANGUAGES CXX)\nfind_package(triga REQUIRED)\n")
        said = self.configure(project, "b1", f"-DTRIGA_TORCH={self.root}", status=1)
        self.assertIn("there is no lib/libtorch_cpu.so in", " ".join(said.split()))
        self.assertIn("-DTRIGA_TORCH=DIR", said)
        # Libraries without headers, as an installed tree on another machine may have.
        bare = self.root / "bare"
        (bare / "lib").mkdir(parents=True)
        for library in ("libtorch_cpu.so", "libc10.so"):
            (bare / "lib" / library).symlink_to((self.prefix / "lib" / "torch").resolve() / library)
        said = " ".join(self.configure(project, "b2", f"-DTRIGA_TORCH={bare}", status=1).split())
        self.assertIn("there is no include/ATen/ATen.h in", said)
        # Another LibTorch.
        headers = bare / "include"
        (headers / "ATen").mkdir(parents=True)
        (headers / "torch" / "headeronly").mkdir(parents=True)
        (headers / "ATen" / "ATen.h").write_text("")
        (headers / "torch" / "headeronly" / "version.h").write_text(
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 9\n#define TORCH_VERSION_PATCH 1\n")
        said = " ".join(self.configure(project, "b3", f"-DTRIGA_TORCH={bare}", status=1).split())
        self.assertIn("is 2.9.1, but this Triga was built with 2.11.0", said)
        # A compiler of the past.
        old = self.root / "old-compiler"
        old.write_text('#!/bin/sh\nfor a; do shift; [ "$a" = -std=c++20 ] && a=-std=c++17; set -- "$@" "$a"; done\nexec clang++ "$@"\n')
        old.chmod(0o755)
        said = " ".join(self.configure(project, "b4", f"-DCMAKE_CXX_COMPILER={old}", status=1).split())
        self.assertIn("cannot compile C++20", said)
        said = " ".join(self.configure(project, "b5", "-DCMAKE_CXX_FLAGS=-D_GLIBCXX_USE_CXX11_ABI=0", status=1).split())
        self.assertIn("another C++ standard library, or another std::string", said)
        in_c = self.small_project("in_c", "project(in_c LANGUAGES C)\nfind_package(triga REQUIRED)\n")
        self.assertIn("project(NAME LANGUAGES CXX)", " ".join(self.configure(in_c, "b6", status=1).split()))
        later = self.small_project("later", "project(later LANGUAGES CXX)\nfind_package(triga 9.0 REQUIRED)\n")
        self.assertIn("9.0", self.configure(later, "b7", status=1))
        named = self.small_project("named", "project(named LANGUAGES CXX)\nfind_package(triga REQUIRED)\n"
                                            "triga_add_plugin(My-Own a.cpp)\n")
        self.assertIn("'My-Own' cannot be the name of a plugin", " ".join(self.configure(named, "b8", status=1).split()))
        # The same, found.
        torch = (self.prefix / "lib" / "torch").resolve().parent
        self.configure(project, "b9", f"-DTRIGA_TORCH={torch}")


if __name__ == "__main__":
    unittest.main()
