// images read FILE: prints "C H W", a line end, and the bytes of the image.
// images folder FOLDER SIZE CHANNELS INDEX: the same of a sample of kind image_folder.
#include <iostream>

#include "data/image_folder.h"
#include "triga/image.h"

int main(int count, char** arguments) {
  at::Tensor image;
  if (count == 3)
    image = triga::read_image(arguments[2]);
  else
    image = triga::ImageFolder({arguments[2], std::stoll(arguments[3]), std::stoll(arguments[4])})
                .get(std::stoll(arguments[5]))["image"];
  std::cout << image.size(0) << ' ' << image.size(1) << ' ' << image.size(2) << '\n';
  std::cout.write(static_cast<const char*>(image.const_data_ptr()),
                  static_cast<std::streamsize>(image.nbytes()));
}
