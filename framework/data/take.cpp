#include "data/take.h"

#include <c10/util/StringUtil.h>

namespace triga {

void describe(Fields& fields, TakeConfig& config) {
  fields.field("from", config.from)
      .help("Where the part begins, as a fraction of the whole.")
      .at_least(0)
      .below(1);
  fields.field("to", config.to)
      .help("Where the part ends, as a fraction of the whole.")
      .above(0)
      .at_most(1);
  fields.rule("to", [&config]() -> std::optional<std::string> {
    if (config.from < config.to) return std::nullopt;
    return c10::str("from: ", config.from, " is not below to: ", config.to,
                    "; the part would be empty");
  });
}

}  // namespace triga
