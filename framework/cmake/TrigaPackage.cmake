# What find_package(triga) and `triga plugin new` need, in the build tree laid out as in an install: lib/cmake/triga, and
# links to the headers, to LibTorch and to the scaffold. So a plugin outside can be built against either.
include(CMakePackageConfigHelpers)
include(TrigaTorchVersion)
triga_torch_version(${TRIGA_TORCH} TRIGA_TORCH_VERSION)   # for trigaConfig.cmake

set(package ${CMAKE_BINARY_DIR}/lib/cmake/triga)
configure_file(framework/cmake/trigaConfig.cmake.in ${package}/trigaConfig.cmake @ONLY)
foreach(file TrigaPlugin TrigaTorchVersion)
  configure_file(framework/cmake/${file}.cmake ${package}/${file}.cmake COPYONLY)
endforeach()
write_basic_package_version_file(${package}/trigaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(DIRECTORY ${package} DESTINATION lib/cmake)
install(DIRECTORY launchers/scaffold launchers/scaffold_parts DESTINATION share/triga)

file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/triga)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/framework/include ${CMAKE_BINARY_DIR}/include SYMBOLIC)
foreach(folder scaffold scaffold_parts)
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/launchers/${folder} ${CMAKE_BINARY_DIR}/share/triga/${folder} SYMBOLIC)
endforeach()
file(CREATE_LINK ${TRIGA_TORCH}/lib ${CMAKE_BINARY_DIR}/lib/torch SYMBOLIC)
