#include "launchers/patient_look.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace triga {

bool PatientLook::may_pass(int code) {
  constexpr int kLasting[] = {ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG};
  return std::find(std::begin(kLasting), std::end(kLasting), code) == std::end(kLasting);
}

void PatientLook::note(const Error& error) {
  const auto* file_error = dynamic_cast<const FileError*>(&error);
  is_passing_ = file_error != nullptr && may_pass(file_error->code());
  problem_ = error.what();
  if (!unread_since_) unread_since_ = Clock::now();
}

}  // namespace triga
