#include "plugin_host/elf_file.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "plugin_host/stamp.h"
#include "triga/error.h"
#include "triga/plugin.h"

namespace triga {
namespace {

using ::testing::HasSubstr;

std::string good_plugin() {
  std::ifstream file(TRIGA_TEST_PLUGINS "/good.so", std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

template <class T>
void put(std::string& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

/// "" when the file can be read.
std::string refusal(const std::string& bytes) {
  try {
    ElfFile file(bytes);
    return "";
  } catch (const PluginError& error) {
    return error.what();
  }
}

TEST(ElfFile, FindsTheStampThatTheCompilerPutIntoAPlugin) {
  const auto bytes = good_plugin();
  const ElfFile file(bytes);
  EXPECT_EQ(file.note("Triga", 1), TRIGA_STAMP);
  EXPECT_EQ(file.note("Triga", 2), std::nullopt);
  EXPECT_EQ(file.note("Trig", 1), std::nullopt);
}

TEST(ElfFile, SaysWhatAFileIsThatIsNoLibrary) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("#!/bin/sh\necho hello\n"), HasSubstr("not a shared library"));
  EXPECT_THAT(refusal("\x7f"
                      "ELF"),
              HasSubstr("cut short"));
  auto bytes = good_plugin();
  for (const auto& [type, words] : {std::pair<uint16_t, const char*>{ET_REL, "object file"},
                                    {ET_EXEC, "a program"},
                                    {ET_CORE, "core dump"},
                                    {99, "type 99"}}) {
    put<uint16_t>(bytes, offsetof(Elf64_Ehdr, e_type), type);
    EXPECT_THAT(refusal(bytes), HasSubstr(words));
  }
}

TEST(ElfFile, NamesTheMachineThatItWasBuiltFor) {
  auto other = good_plugin();
  put<uint16_t>(other, offsetof(Elf64_Ehdr, e_machine), EM_RISCV);
  EXPECT_THAT(refusal(other), HasSubstr("RISC-V; this one is"));
  auto narrow = good_plugin();
  narrow[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(refusal(narrow), HasSubstr("32 bits"));
  auto big_endian = good_plugin();
  big_endian[EI_DATA] = ELFDATA2MSB;
  EXPECT_THAT(refusal(big_endian), HasSubstr("big-endian"));
}

TEST(ElfFile, RefusesEveryLengthButTheWhole) {
  const auto bytes = good_plugin();
  EXPECT_EQ(refusal(bytes), "");
  for (size_t length = 0; length < bytes.size(); length += length < 2000 ? 1 : 977)
    EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
  EXPECT_NE(refusal(bytes.substr(0, bytes.size() - 1)), "");
}

TEST(ElfFile, SurvivesOffsetsThatWrapAround) {
  for (const size_t field : {offsetof(Elf64_Ehdr, e_phoff), offsetof(Elf64_Ehdr, e_shoff)})
    for (const uint64_t value :
         {~uint64_t{0}, ~uint64_t{0} - 63, uint64_t{1} << 63, uint64_t{1} << 40}) {
      auto bytes = good_plugin();
      put(bytes, field, value);
      EXPECT_NE(refusal(bytes), "") << field << " = " << value;
    }
}

TEST(ElfFile,
     ReadsOrRefusesButNeverLeavesTheFile) {  // run under AddressSanitizer to see that it holds
  const auto good = good_plugin();
  uint64_t state = 12345;  // the 64-bit LCG of Knuth's MMIX: any spread will do
  const auto next = [&state](uint64_t bound) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % bound;
  };
  int num_refused = 0;
  for (int i = 0; i < 20000; ++i) {
    auto bytes =
        good.substr(0, 4096);  // headers and notes lie here; shorter than what the headers say
    if (i % 2 == 0) bytes = good;
    for (uint64_t k = 0; k <= next(4); ++k) {
      const auto at = next(i % 3 == 0 ? 64 : 1024);
      bytes[at] = static_cast<char>(next(256));
    }
    try {
      const ElfFile file(bytes);
      const auto note = file.note("Triga", 1);
      if (note) EXPECT_LE(note->size(), bytes.size());
    } catch (const PluginError&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 10000);
  EXPECT_LT(num_refused, 20000);
}

}  // namespace
}  // namespace triga
