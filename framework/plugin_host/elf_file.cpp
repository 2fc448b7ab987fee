#include "plugin_host/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "triga/error.h"

namespace triga {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kThisMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kThisMachine = EM_AARCH64;
#elif defined(__powerpc64__)
constexpr uint16_t kThisMachine = EM_PPC64;
#else
#error "add this machine's e_machine"
#endif

std::string machine_name(uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_PPC64:
      return "ppc64";
    case EM_RISCV:
      return "RISC-V";
    case EM_386:
      return "32-bit x86";
    case EM_ARM:
      return "32-bit ARM";
    default:
      return c10::str("machine number ", machine);
  }
}

std::string kind_of_object(uint16_t type) {
  switch (type) {
    case ET_REL:
      return "an object file (.o) that was not linked yet";
    case ET_EXEC:
      return "a program";
    case ET_CORE:
      return "a core dump";
    default:
      return c10::str("an ELF file of type ", type);
  }
}

constexpr uint64_t aligned(uint64_t size) {
  return (size + 3) / 4 * 4;
}

}  // namespace

ElfFile::ElfFile(std::string_view bytes) : bytes_(bytes) {
  check_identity();
  read_segments();
}

/// Requires: the T at `offset` lies within the file.
template <class T>
T ElfFile::read(uint64_t offset) const {
  T value;
  std::memcpy(&value, bytes_.data() + offset, sizeof(T));
  return value;
}

void ElfFile::check_identity() const {
  if (bytes_.empty()) throw PluginError("the file is empty");
  if (!bytes_.starts_with(std::string_view(ELFMAG, SELFMAG)))
    throw PluginError("it is not a shared library (no ELF file)");
  if (bytes_.size() < sizeof(Elf64_Ehdr)) throw PluginError("the file is cut short in its header");
  const auto header = read<Elf64_Ehdr>(0);
  const bool same_width = header.e_ident[EI_CLASS] == ELFCLASS64;
  const bool same_order = header.e_ident[EI_DATA] == ELFDATA2LSB;
  if (!same_width || !same_order || header.e_machine != kThisMachine)
    throw PluginError(c10::str("it was built for another machine: ", same_width ? "" : "32 bits, ",
                               same_order ? "" : "big-endian, ", machine_name(header.e_machine),
                               "; this one is ", machine_name(kThisMachine)));
  if (header.e_type != ET_DYN)
    throw PluginError(c10::str("it is ", kind_of_object(header.e_type), ", not a shared library"));
}

void ElfFile::read_segments() {
  const auto header = read<Elf64_Ehdr>(0);
  if (header.e_phentsize != sizeof(Elf64_Phdr))
    throw PluginError("its ELF program header is damaged");
  // A file is whole when all that is to be mapped lies in it, and the section table, which linkers
  // put last.
  uint64_t end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  if (end < header.e_shoff) throw PluginError("its ELF section table is damaged");
  const uint64_t num_segments = header.e_phnum;
  const uint64_t table_end = header.e_phoff + num_segments * sizeof(Elf64_Phdr);
  if (table_end < header.e_phoff) throw PluginError("its ELF program header is damaged");
  end = std::max(end, table_end);
  if (table_end <= bytes_.size()) {
    for (uint64_t i = 0; i < num_segments; ++i) {
      const auto entry = read<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
      if (entry.p_offset + entry.p_filesz < entry.p_offset)
        throw PluginError("its ELF program header is damaged");
      end = std::max(end, entry.p_offset + entry.p_filesz);
      segments_.push_back({entry.p_type, entry.p_offset, entry.p_filesz});
    }
  }
  if (end > bytes_.size())
    throw PluginError(c10::str("the file is cut short: it has ", bytes_.size(), " bytes of ", end));
}

std::optional<std::string> ElfFile::note(std::string_view owner, uint32_t type) const {
  for (const auto& segment : segments_) {
    if (segment.type != PT_NOTE) continue;
    uint64_t at = segment.offset;
    const uint64_t end = segment.offset + segment.size;
    while (end - at >= sizeof(Elf64_Nhdr)) {
      const auto header = read<Elf64_Nhdr>(at);
      at += sizeof(Elf64_Nhdr);
      const uint64_t name_size = aligned(header.n_namesz), text_size = aligned(header.n_descsz);
      if (name_size > end - at || text_size > end - at - name_size)
        break;  // damaged: no more notes here
      auto name = bytes_.substr(at, header.n_namesz);
      auto text = bytes_.substr(at + name_size, header.n_descsz);
      at += name_size + text_size;
      if (name.substr(0, name.find('\0')) != owner || header.n_type != type) continue;
      return std::string(text.substr(0, text.find('\0')));
    }
  }
  return std::nullopt;
}

}  // namespace triga
