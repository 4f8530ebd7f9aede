import{a,b,c}from"./chunk-QG6P52EZ.js";import"./chunk-QFBB4BD5.js";import"./chunk-6XUND553.js";export{a as deltaLength,c as richText,b as toDeltaOp};
