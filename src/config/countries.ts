/**
 * The countries: their codes, and where they are, about.
 *
 * @module
 */

/** Degrees. */
interface Place {
  readonly latitude: number
  readonly longitude: number
  /** Of a circle with the area of the country, kilometres. */
  readonly radiusKm: number
}

const EARTH_KM = 6371
/** What people write for the code of another one. */
const MISTAKEN: ReadonlyMap<string, string> = new Map([
  ['UK', 'GB'],
  ['EL', 'GR'],
  ['EN', 'GB'],
  ['SF', 'FI'],
])

/** What is wrong with a code of two capital letters (ISO 3166-1 alpha-2, and XK for Kosovo); undefined: nothing. */
export function faultOfCountry(code: string): string | undefined {
  if (PLACES.has(code)) return undefined
  const meant = MISTAKEN.get(code)
  return meant === undefined ? 'is no country' : `is no country, did you mean ${meant}?`
}

/**
 * The least way from one country to the other, kilometres: from the middle of one to that of the other, less the radius of each.
 * Neighbours are nearly 0 apart. What is no country is 0 from everywhere.
 */
export function kilometresBetween(one: string, other: string): number {
  const [from, to] = [PLACES.get(one), PLACES.get(other)]
  if (from === undefined || to === undefined || one === other) return 0
  const [a, b] = [radians(from.latitude), radians(to.latitude)]
  // Haversine: good for short ways, too.
  const half = Math.sin((b - a) / 2) ** 2
  const turn = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2
  const middle = 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(half + Math.cos(a) * Math.cos(b) * turn)))
  return Math.max(0, Math.round(middle - from.radiusKm - to.radiusKm))
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180
}

/** Code, latitude, longitude, radius: rounded from coordinates and areas of the CIA World Factbook, which is in the public domain. */
const TABLE = `
  AD 42 2 12;AE 24 54 163;AF 33 65 456;AG 17 -62 12;AI 18 -63 5;AL 41 20 96;AM 40 45 97;AO -12 18 630;AQ -90 0 2126
  AR -34 -64 941;AS -14 -170 8;AT 47 13 163;AU -27 133 1570;AW 12 -70 8;AX 60 20 22;AZ 40 48 166;BA 44 18 128;BB 13 -60 12
  BD 24 90 217;BE 51 4 99;BF 13 -2 295;BG 43 25 188;BH 26 51 16;BI -4 30 94;BJ 10 2 189;BL 18 -63 3;BM 32 -65 4;BN 4 115 43
  BO -17 -65 591;BQ 12 -68 10;BR -10 -55 1646;BS 24 -76 66;BT 28 90 111;BV -54 3 4;BW -22 24 430;BY 53 28 257;BZ 17 -89 86
  CA 60 -95 1783;CC -12 97 2;CD 0 25 864;CF 7 21 445;CG -1 15 330;CH 47 8 115;CI 8 -5 320;CK -21 -160 9;CL -30 -71 491
  CM 6 12 389;CN 35 105 1748;CO 4 -72 602;CR 10 -84 128;CU 22 -80 188;CV 16 -24 36;CW 12 -69 12;CX -10 106 7;CY 35 33 54
  CZ 50 16 158;DE 51 9 337;DJ 12 43 86;DK 56 10 117;DM 15 -61 15;DO 19 -71 124;DZ 28 3 871;EC -2 -78 300;EE 59 26 120
  EG 27 30 565;EH 24 -13 291;ER 15 39 193;ES 40 -4 401;ET 8 38 593;FI 64 26 328;FJ -18 175 76;FK -52 -59 62;FM 7 158 15
  FO 62 -7 21;FR 46 2 419;GA -1 12 292;GB 54 -2 278;GD 12 -62 10;GE 42 44 149;GF 4 -53 163;GG 49 -3 5;GH 8 -2 276;GI 36 -5 1
  GL 72 -40 830;GM 13 -17 60;GN 11 -10 280;GP 16 -62 23;GQ 2 10 94;GR 39 22 205;GS -54 -37 35;GT 16 -90 186;GU 13 145 13
  GW 12 -15 107;GY 5 -59 262;HK 22 114 19;HM -53 73 11;HN 15 -86 189;HR 45 16 134;HT 19 -72 94;HU 47 20 172;ID -5 120 779
  IE 53 -8 150;IL 32 35 84;IM 54 -4 13;IN 20 77 1023;IO -6 72 4;IQ 33 44 374;IR 32 53 724;IS 65 -18 181;IT 43 13 310
  JE 49 -2 6;JM 18 -78 59;JO 31 36 169;JP 36 138 347;KE 1 38 430;KG 41 75 252;KH 13 105 240;KI 1 173 16;KM -12 44 27
  KN 17 -63 9;KP 40 127 196;KR 37 128 178;KW 30 46 75;KY 20 -80 9;KZ 48 68 931;LA 18 105 275;LB 34 36 58;LC 14 -61 14
  LI 47 10 7;LK 7 81 145;LR 6 -10 188;LS -30 28 98;LT 56 24 144;LU 50 6 29;LV 57 25 143;LY 25 17 748;MA 28 -10 478;MC 44 7 1
  MD 47 29 104;ME 42 19 66;MF 18 -64 4;MG -20 47 432;MH 9 168 8;MK 42 22 90;ML 17 -4 628;MM 22 98 464;MN 46 105 706
  MO 22 114 3;MP 15 146 12;MQ 15 -61 19;MR 20 -12 573;MS 17 -62 6;MT 36 15 10;MU -20 58 25;MV 3 73 10;MW -14 34 194
  MX 23 -102 791;MY 2 112 324;MZ -18 35 504;NA -22 17 512;NC -22 166 77;NE 16 8 635;NF -29 168 3;NG 10 8 542;NI 13 -85 204
  NL 53 6 115;NO 62 10 321;NP 28 84 216;NR -1 167 3;NU -19 -170 9;NZ -41 174 293;OM 21 57 314;PA 9 -80 155;PE -10 -76 640
  PF -15 -140 36;PG -6 147 384;PH 13 122 309;PK 30 70 503;PL 52 20 315;PM 47 -56 9;PN -25 -130 4;PR 18 -66 54;PS 32 35 44
  PT 40 -8 171;PW 8 134 12;PY -23 -58 360;QA 26 51 61;RE -21 56 28;RO 46 25 275;RS 44 21 157;RU 60 100 2333;RW -2 30 92
  SA 25 45 827;SB -8 159 96;SC -5 56 12;SD 15 30 770;SE 62 15 379;SG 1 104 15;SH -16 -6 11;SI 46 15 80;SJ 78 20 141
  SK 49 20 125;SL 8 -12 151;SM 44 12 4;SN 14 -14 250;SO 10 49 451;SR 4 -56 228;SS 8 30 453;ST 1 7 18;SV 14 -89 82;SX 18 -63 3
  SY 35 38 244;SZ -26 32 74;TC 22 -72 17;TD 15 19 639;TF -49 70 47;TG 8 1 134;TH 15 100 404;TJ 39 71 214;TK -9 -172 2
  TL -9 126 69;TM 40 60 394;TN 34 9 228;TO -20 -175 15;TR 39 35 499;TT 11 -61 40;TV -8 178 3;TW 24 121 107;TZ -6 35 549
  UA 49 32 438;UG 1 32 277;UM 19 167 2;US 38 -97 1769;UY -33 -56 237;UZ 41 64 377;VA 42 12 0;VC 13 -61 11;VE 8 -66 539
  VG 18 -64 7;VI 18 -65 25;VN 16 108 325;VU -16 167 62;WF -13 -176 7;WS -14 -172 30;XK 43 21 59;YE 15 48 410;YT -13 45 11
  ZA -29 24 623;ZM -15 30 489;ZW -20 30 353
`

const PLACES: ReadonlyMap<string, Place> = new Map(
  TABLE.trim()
    .split(/[;\n]/)
    .map((entry): [string, Place] => {
      const [code = '', latitude, longitude, radiusKm] = entry.trim().split(' ')
      return [code, { latitude: Number(latitude), longitude: Number(longitude), radiusKm: Number(radiusKm) }]
    }),
)
