// A libicudata without data, for an install tree. Debian's has 30 MB of it, for locales, conversions
// and time zones; the properties of characters and their canonical decomposition, all that we ask
// for, lie in libicuuc itself. What it is: the header of a common data file ("ToCP") with an empty
// table of contents, as unicode/udata.h describes it.
#include <unicode/udata.h>
#include <unicode/utypes.h>

namespace {

struct DataFile {
  uint16_t header_size = 32;
  uint8_t magic[2] = {0xda, 0x27};
  UDataInfo info = {sizeof(UDataInfo), 0, U_IS_BIG_ENDIAN,      U_CHARSET_FAMILY,
                    sizeof(UChar),     0, {'T', 'o', 'C', 'P'}, {1, 0, 0, 0},
                    {0, 0, 0, 0}};
  uint8_t padding[8] = {};
  uint32_t num_entries = 0;
  uint32_t no_entry[3] = {};
};
static_assert(offsetof(DataFile, num_entries) == 32);

}  // namespace

extern "C" __attribute__((visibility("default"))) const DataFile U_ICUDATA_ENTRY_POINT;
const DataFile U_ICUDATA_ENTRY_POINT;
