# triga_torch_version(DIR OUT): the version, such as 2.11.0, of the LibTorch whose include/ is in DIR.
function(triga_torch_version folder out)
  file(STRINGS ${folder}/include/torch/headeronly/version.h lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
  string(REPLACE ";" "." version "${numbers}")
  set(${out} ${version} PARENT_SCOPE)
endfunction()
