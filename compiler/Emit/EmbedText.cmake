# Writes the file IN as a C++ raw string literal to OUT:
#   cmake -DIN=abi.h -DOUT=AbiText.inc -P EmbedText.cmake
file(READ ${IN} text)
file(WRITE ${OUT} "R\"RONDO_TEXT(${text})RONDO_TEXT\"\n")
