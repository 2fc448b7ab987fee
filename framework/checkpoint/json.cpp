#include "checkpoint/json.h"

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int kMaxDepth = 32;

// Refuses what the parser would let pass: a key that is there twice (the last would win), and
// nesting without end.
class StrictParse {
 public:
  explicit StrictParse(const std::string& where) : where_(where) {}

  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth)
      throw CheckpointError(fmt::format("{}: nested deeper than {} levels", where_, kMaxDepth));
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(value.get<std::string>()).second)
      throw CheckpointError(
          fmt::format("{}: the key '{}' is there twice", where_, value.get<std::string>()));
    return true;
  }

 private:
  const std::string& where_;
  std::vector<std::set<std::string>> keys_;  // of each object that is open
};

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  // The parser takes a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw CheckpointError(fmt::format("{}: not JSON: a zero byte at {}", where, zero));
  StrictParse strict(where);
  try {
    return Json::parse(text.begin(), text.end(), std::ref(strict));
  } catch (const Json::exception& error) {
    throw CheckpointError(fmt::format("{}: not JSON: {:.200}", where, error.what()));
  }
}

template <class T>
T json_member(const Json& object, const std::string& key, const std::string& where) {
  const auto member = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || member == object.end())
    throw CheckpointError(fmt::format("{}: '{}' is missing", where, key));
  try {
    if constexpr (std::is_integral_v<T>) {
      if (!member->is_number_integer()) throw CheckpointError("an integer");
      if (std::is_unsigned_v<T>
              ? !member->is_number_unsigned()
              : member->is_number_unsigned() && member->template get<uint64_t>() > INT64_MAX)
        throw CheckpointError("a number in range");
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!member->is_number()) throw CheckpointError("a number");
    }
    return member->template get<T>();
  } catch (const CheckpointError& wanted) {
    throw CheckpointError(
        fmt::format("{}: '{}' is {:.60}, not {}", where, key, member->dump(), wanted.what()));
  } catch (const Json::exception&) {
    throw CheckpointError(
        fmt::format("{}: '{}' is {:.60}, which is of another type", where, key,
                    member->dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
}

template int64_t json_member<int64_t>(const Json&, const std::string&, const std::string&);
template uint64_t json_member<uint64_t>(const Json&, const std::string&, const std::string&);
template double json_member<double>(const Json&, const std::string&, const std::string&);
template std::string json_member<std::string>(const Json&, const std::string&, const std::string&);
template std::map<std::string, std::string> json_member<std::map<std::string, std::string>>(
    const Json&, const std::string&, const std::string&);
template std::map<std::string, double> json_member<std::map<std::string, double>>(
    const Json&, const std::string&, const std::string&);
template std::vector<double> json_member<std::vector<double>>(const Json&, const std::string&,
                                                              const std::string&);
template std::vector<std::string> json_member<std::vector<std::string>>(const Json&,
                                                                        const std::string&,
                                                                        const std::string&);

}  // namespace triga
