import{a,b,c}from"./chunk-KKZ72YAL.js";import"./chunk-DKA4KHRB.js";import"./chunk-6XUND553.js";export{a as deltaLength,c as richText,b as toDeltaOp};
