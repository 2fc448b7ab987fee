// ElfFile: what is asked of a shared library before it is loaded, read from its bytes alone (System
// V gABI, chapters 4 and 5; man 5 elf). The bytes may be anything: every offset is checked against
// the size before it is followed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace triga {

class ElfFile {
 public:
  /// `bytes`: the whole file; outlives this. Throws: PluginError that says why this machine can not
  /// load it as a shared library: no ELF file at all, another machine's, cut short, not a library.
  explicit ElfFile(std::string_view bytes);

  /// The text of the first note of this owner and type, without what pads it.
  std::optional<std::string> note(std::string_view owner, uint32_t type) const;

 private:
  struct Segment {
    uint32_t type;
    uint64_t offset, size;
  };
  template <class T>
  T read(uint64_t offset) const;
  void check_identity() const;
  void read_segments();

  std::string_view bytes_;
  std::vector<Segment> segments_;
};

}  // namespace triga
