import{a,b,c}from"./chunk-BVNF4A2F.js";import"./chunk-FES55A2Q.js";import"./chunk-6HUFRVP4.js";import"./chunk-OOJM4CTU.js";export{a as deltaLength,c as richText,b as toDeltaOp};
