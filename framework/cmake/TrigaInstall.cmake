# cmake --install build/release --prefix P: a tree that may be moved, beside other versions of itself.
#
#   P/bin/triga  P/lib/libtriga.so  P/lib/libtriga_mpi.so  P/lib/triga/plugins/*.so  P/include/triga  P/share/triga  P/etc/triga
#   P/lib/triga/bundled/   the libraries of others that we link (yaml-cpp, fmt, curl, ...) and what those need
#   P/lib/torch            a link to LibTorch's lib folder: the one thing to set on another machine
#   P/share/modulefiles/triga/VERSION   for `module load triga`
#   P/lib/cmake/triga      find_package(triga), for plugins of others (TrigaPackage.cmake)
#
# From outside it needs LibTorch (through that link), glibc and libstdc++ as LibTorch does, and MPI for more than one rank.
install(CODE "set(CMAKE_INSTALL_DO_STRIP TRUE)")
set(TRIGA_TORCH_RUNTIME "${TRIGA_TORCH}/lib" CACHE PATH "LibTorch's lib folder at run time: where P/lib/torch points to")

# The program's search path (DT_RPATH, not DT_RUNPATH) also serves the bundled libraries, which have none of their own.
set(library_folders "$ORIGIN/../lib" "$ORIGIN/../lib/triga/bundled" "$ORIGIN/../lib/torch")
set(plugin_folders "$ORIGIN/../.." "$ORIGIN/../bundled" "$ORIGIN/../../torch")
get_property(plugins GLOBAL PROPERTY TRIGA_PLUGINS)
foreach(target triga triga_mpi triga_cuda triga_command)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "${library_folders}")
    install(TARGETS ${target} RUNTIME DESTINATION bin LIBRARY DESTINATION lib)
  endif()
endforeach()
set_target_properties(${plugins} PROPERTIES INSTALL_RPATH "${plugin_folders}")
install(TARGETS ${plugins} LIBRARY DESTINATION lib/triga/plugins)

install(DIRECTORY framework/include/triga DESTINATION include)
install(DIRECTORY experiments/ DESTINATION share/triga/experiments
  PATTERN quickstart.yaml EXCLUDE  # reads .deps/
  PATTERN data_catalogue.yaml EXCLUDE)
install(FILES experiments/data_catalogue.yaml DESTINATION share/triga)
file(GLOB examples tests/plugins/outside/*)
install(FILES ${examples} DESTINATION share/triga/examples)  # docs/write_a_plugin.md
install(DIRECTORY launchers/recipes DESTINATION share/triga USE_SOURCE_PERMISSIONS)
install(FILES README.md LICENSE CHANGELOG.md DESTINATION share/triga)
install(DIRECTORY docs DESTINATION share/triga)  # what the scaffold and error messages point to
install(CODE [[
  set(share "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/triga")
  file(GLOB pages "${share}/README.md" "${share}/docs/*.md")
  foreach(page IN LISTS pages)  # links to what lies elsewhere in the source tree
    file(READ ${page} text)
    string(REPLACE "](../launchers/recipes" "](../recipes" text "${text}")
    string(REPLACE "](../tests/plugins/outside" "](../examples" text "${text}")
    string(REPLACE "](framework/include/" "](../../include/" text "${text}")
    string(REPLACE "](experiments/quickstart.yaml" "](experiments" text "${text}")
    file(WRITE ${page} "${text}")
  endforeach()
]])
install(DIRECTORY DESTINATION etc/triga)
configure_file(framework/cmake/modulefile.in ${CMAKE_BINARY_DIR}/modulefile @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/modulefile DESTINATION share/modulefiles/triga RENAME ${PROJECT_VERSION})

# In place of the system's libicudata (icu_without_data.cpp says why), in a folder where no program of the build tree looks.
string(REGEX MATCH "^[0-9]+" icu_major "${ICU_VERSION}")
add_library(triga_icu_without_data SHARED framework/cmake/icu_without_data.cpp)
set_target_properties(triga_icu_without_data PROPERTIES OUTPUT_NAME icudata SOVERSION ${icu_major}
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bundled)
target_include_directories(triga_icu_without_data SYSTEM PRIVATE ${ICU_INCLUDE_DIRS})
install(TARGETS triga_icu_without_data LIBRARY DESTINATION lib/triga/bundled NAMELINK_SKIP)

# What our libraries and the program need from the system, but for what LibTorch and MPI bring or need themselves.
# libtriga_mpi is not asked: besides ours it needs only MPI.
set(plugin_files ${plugins})
list(TRANSFORM plugin_files REPLACE "(.+)" "$<TARGET_FILE:\\1>")
install(CODE "
  set(program \"$<TARGET_FILE:triga_command>\")
  set(libraries \"$<TARGET_FILE:triga>;${plugin_files}\")
  set(torch_runtime \"${TRIGA_TORCH_RUNTIME}\")
")
install(CODE [[
  file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${program} LIBRARIES ${libraries}
    RESOLVED_DEPENDENCIES_VAR bundled UNRESOLVED_DEPENDENCIES_VAR unresolved
    PRE_EXCLUDE_REGEXES "^libtriga" "^libtorch" "^libc10" "^libgomp" "^ld-linux" "^libstdc\\+\\+" "^libgcc_s" "^libicudata"
      "^lib(c|m|dl|rt|pthread|resolv|util)\\.so")
  if(unresolved)
    message(FATAL_ERROR "libraries that the install needs are not found: ${unresolved}")
  endif()
  file(INSTALL ${bundled} DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/triga/bundled" FOLLOW_SYMLINK_CHAIN)
  set(library_folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib")  # file(INSTALL) adds DESTDIR itself
  file(MAKE_DIRECTORY "${library_folder}")
  file(CREATE_LINK "${torch_runtime}" "${library_folder}/torch" SYMBOLIC)
]])
