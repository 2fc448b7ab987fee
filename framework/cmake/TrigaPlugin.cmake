# triga_add_plugin(NAME sources...): NAME.so, a plugin that the command finds by its name; its target is triga_plugin_NAME.
# Symbols are hidden but for the descriptor, so that two plugins never meet.
#
# The same file serves Triga's own tree and, installed beside trigaConfig.cmake, plugins anywhere. Outside, NAME.so lies in the
# build folder, and `cmake --install` puts it into lib/triga/plugins below the prefix.
function(triga_add_plugin name)
  if(NOT name MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "triga_add_plugin: '${name}' cannot be the name of a plugin; allowed: a-z, 0-9 and _, a letter first")
  endif()
  add_library(triga_plugin_${name} MODULE ${ARGN})
  target_link_libraries(triga_plugin_${name} PRIVATE triga::triga)
  target_compile_features(triga_plugin_${name} PRIVATE cxx_std_20)
  set_target_properties(triga_plugin_${name} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name} CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(TARGET triga_flags)   # in Triga's own tree
    target_link_libraries(triga_plugin_${name} PRIVATE triga_flags)
    set_target_properties(triga_plugin_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${TRIGA_PLUGIN_OUTPUT_DIRECTORY})
    set_property(GLOBAL APPEND PROPERTY TRIGA_PLUGINS triga_plugin_${name})
    triga_precompile(triga_plugin_${name})
  else()
    # Triga and LibTorch are in the process that opens it. What else it is linked with is found where it lies now, and once
    # it is installed, in PREFIX/lib: no path of this machine stays in it.
    if(NOT DEFINED CMAKE_INSTALL_RPATH)
      set_target_properties(triga_plugin_${name} PROPERTIES INSTALL_RPATH "$ORIGIN/../..")
    endif()
    install(TARGETS triga_plugin_${name} LIBRARY DESTINATION lib/triga/plugins)
  endif()
endfunction()
